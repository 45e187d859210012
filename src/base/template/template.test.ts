import assert from "node:assert/strict";
import test from "node:test";
import { asMap, compileTemplate, TemplateError } from "./template.ts";

const value = {
  Id: "abc",
  Name: "/web",
  Count: 3,
  Running: true,
  Empty: [],
  None: null,
  Nested: { None: null, One: 1 },
  Config: { Labels: asMap({ b: "2", a: "1" }), Env: ["A=1", "B=2"] },
  Label: (key: unknown) => `label:${key}`,
  Ports: () => "80/tcp",
};
const run = (source: string) => compileTemplate(source).run(value);
const refuses = (source: string, message: RegExp) =>
  assert.throws(
    () => run(source),
    (error) => error instanceof TemplateError && message.test(error.message),
  );

const cases: Readonly<Record<string, string>> = {
  "{{.Id}} {{ .Name }}": "abc /web",
  "{{.Config.Labels}} {{.Config.Env}}": "map[a:1 b:2] [A=1 B=2]",
  "{{json .Config}}": '{"Labels":{"b":"2","a":"1"},"Env":["A=1","B=2"]}',
  '{{join .Config.Env ", "}}': "A=1, B=2",
  '{{.Id | upper | printf "%s-%5d|" }}': "ABC-%!d(MISSING)|",
  '{{printf "%-6s|%03d|%q" .Id .Count .Name}}': 'abc   |003|"/web"',
  "{{range .Config.Env}}<{{.}}>{{end}}": "<A=1><B=2>",
  "{{range $i, $e := .Config.Env}}{{$i}}={{$e}} {{end}}": "0=A=1 1=B=2 ",
  "{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}};{{end}}": "a:1;b:2;",
  "{{range .Empty}}x{{else}}none{{end}}": "none",
  "{{range .Config.Env}}{{$.Id}}{{break}}{{end}}": "abc",
  "{{if .Running}}up{{else}}down{{end}}": "up",
  "{{if not .Running}}a{{else if eq .Count 3}}b{{else}}c{{end}}": "b",
  "{{if and .Running (gt .Count 2)}}yes{{end}}": "yes",
  '{{with .Config}}{{index .Labels "a"}}{{end}}': "1",
  '{{index .Config.Labels "missing"}}|{{.Config.Labels.missing}}': "|<no value>",
  "{{index .Config.Env 1}} {{len .Config.Env}} {{len .Id}}": "B=2 2 3",
  '{{.Label "x"}} {{.Ports}}': "label:x 80/tcp",
  "{{println .Id .Count}}": "abc 3\n",
  '{{slice .Id 0 2}}{{title "ab cd"}}{{truncate .Name 2}}': "abAb Cd/w",
  "a {{- .Id -}} b": "aabcb",
  "{{/* nothing */}}x": "x",
  "{{$x := .Count}}{{$x}}": "3",
  '{{`a"b`}}{{"\\t"}}': 'a"b\t',
  '{{(index .Config.Env 0)}}{{split "a,b" ","}}': "A=1[a b]",
  "{{.None}} {{.Nested}}": "[] {[] 1}",
  '{{"}}"}}': "}}",
};

for (const [source, expected] of Object.entries(cases)) {
  test(`the template ${source} prints as docker's does`, () => assert.equal(run(source), expected));
}

test("a member that a struct does not have is an error that names it", () => {
  refuses("{{.Foo}}", /executing "" at <\.Foo>: map has no entry for key "Foo"/);
  refuses("{{.None.Foo}}", /nil pointer evaluating/);
  refuses("{{.constructor}}", /no entry for key "constructor"/);
  refuses("{{.Config.Env.Foo}}", /can't evaluate field Foo/);
});

test("mistakes in the text of a template are errors", () => {
  refuses("{{.Id", /unclosed action/);
  refuses("{{if .Id}}", /unexpected EOF/);
  refuses("{{break}}", /\{\{break\}\} outside \{\{range\}\}/);
  refuses("{{end}}", /unexpected \{\{end\}\}/);
  refuses("{{foo .Id}}", /function "foo" not defined/);
  refuses("{{constructor .Id}}", /function "constructor" not defined/);
  refuses("{{$nope}}", /undefined variable "\$nope"/);
  refuses("{{index .Config.Env 7}}", /index out of range: 7/);
  refuses("{{}}", /missing value for command/);
  refuses('{{"abc}}', /unclosed action|unterminated/);
  refuses("{{(.Id}}", /unclosed left paren/);
});
