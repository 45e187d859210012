#!/bin/sh
# Builds and runs the C tests with AddressSanitizer and UndefinedBehaviorSanitizer:
#
#     native/test/run.sh [log|plan|shim]...      all of them unless named
#
# Prints `ok name` or `not ok name` for each test, and last `N passed, N failed`.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/gantry-native-XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
seconds=${FUZZ_SECONDS:-8}
bun="$top/node_modules/.bin/bun"
flags="-std=gnu11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -fno-omit-frame-pointer -I$top/native"
sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
passed=0
failed=0

result() { # status, name
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $2"
	else
		failed=$((failed + 1))
		echo "not ok $2"
	fi
}

# A program that prints ok lines of its own and a last line of counts.
counted() { # name, command...
	name=$1
	shift
	status=0
	"$@" >"$work/$name.out" 2>"$work/$name.err" || status=$?
	grep -E '^(not )?ok ' "$work/$name.out" || true
	passed=$((passed + $(grep -c '^ok ' "$work/$name.out" || true)))
	failed=$((failed + $(grep -c '^not ok ' "$work/$name.out" || true)))
	if [ "$status" -ne 0 ] && ! grep -q '^not ok ' "$work/$name.out"; then
		cat "$work/$name.err" >&2
		result 1 "$name ended with status $status"
	fi
}

test_log() {
	cc $flags $sanitize -o "$work/log_test" "$top/native/test/log_test.c"
	counted log "$work/log_test"
}

test_plan() {
	"$bun" "$top/native/test/corpus.ts" "$work/corpus"
	cc $flags $sanitize -DSTANDALONE -o "$work/plan_mutants" "$top/native/test/fuzz_plan.c" "$top/native/plan.c"
	status=0
	"$work/plan_mutants" "$work/corpus" 2 >"$work/plan.out" 2>&1 || status=$?
	[ "$status" -eq 0 ] || cat "$work/plan.out" >&2
	result "$status" "the plan check takes good plans and survives their mutants ($(tail -1 "$work/plan.out"))"
	# coverage-guided where the compiler brings a fuzzer
	if clang $flags $sanitize -fsanitize=fuzzer -o "$work/plan_fuzz" "$top/native/test/fuzz_plan.c" "$top/native/plan.c" 2>"$work/clang.err"; then
		mkdir -p "$work/found"
		status=0
		"$work/plan_fuzz" -max_total_time="$seconds" -timeout=5 -max_len=65536 -print_final_stats=1 -artifact_prefix="$work/" \
			"$work/found" "$work/corpus" >"$work/fuzz.out" 2>&1 || status=$?
		[ "$status" -eq 0 ] || tail -40 "$work/fuzz.out" >&2
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/fuzz.out")
		result "$status" "the plan check survives ${runs:-0} inputs of a coverage-guided fuzzer"
	else
		echo "# no libFuzzer: $(grep -m1 -E "error|cannot find" "$work/clang.err")"
	fi
}

# The whole executor with sanitizers under the tests of test/shim. Its stderr is nobody's, so reports go to files.
test_shim() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "# shim: needs root"
		return
	fi
	printf '%s\n' '#define OPTIONS "log_path=" REPORTS ":detect_leaks=0:abort_on_error=0"' \
		'const char *__asan_default_options(void);' 'const char *__asan_default_options(void) { return OPTIONS; }' \
		'const char *__ubsan_default_options(void);' 'const char *__ubsan_default_options(void) { return OPTIONS; }' \
		>"$work/options.c"
	cc $flags $sanitize -DREPORTS="\"$work/report\"" -o "$work/gantry-executor" "$top"/native/*.c "$work/options.c"
	status=0
	(cd "$top" && GANTRY_SANITIZED=1 GANTRY_EXECUTOR="$work/gantry-executor" \
		"$bun" test --timeout=120000 ./test/shim) >"$work/shim.out" 2>&1 || status=$?
	if ls "$work"/report* >/dev/null 2>&1; then
		cat "$work"/report* >&2
		status=1
	fi
	[ "$status" -eq 0 ] || grep -v '^(pass)' "$work/shim.out" | tail -60 >&2
	result "$status" "the shim passes its tests under the sanitizers ($(grep -c '^(pass)' "$work/shim.out") tests)"
}

for part in ${*:-log plan shim}; do
	"test_$part"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
