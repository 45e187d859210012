/* Made by tools/generate-native.ts from src/plan/. Do not edit. */
#ifndef GEN_OPERATIONS_H
#define GEN_OPERATIONS_H
#define PLAN_VERSION 1
#define REGISTER_LIMIT 256
#define OPERAND_LIMIT 11
#define IN_HOST 1
#define IN_CHILD 2
#define IN_CLEANUP 4
#define IN_LAYER 8
#define RULE_IN_ROOT 1
#define RULE_PIVOT 2
#define RULE_SECCOMP 4
#define RULE_CONFINED 8
#define RULE_CLOSE 16
#define RULE_LAST 32
#define RULE_CLONE 64
#define RULE_WITH_CHILD 128
#define RULE_CONTROLLER 256
#define RULE_EMPTIES 512

/* X(number, symbol, name, operand kinds, stages, rules) */
#define OPERATIONS(X) \
  X(2, close, "close", "-", 7, 8) \
  X(3, make_pipe, "make-pipe", "++", 1, 0) \
  X(4, tell_child, "tell-child", "4", 1, 128) \
  X(5, await_child, "await-child", "4", 1, 128) \
  X(6, tell_host, "tell-host", "4", 2, 8) \
  X(7, await_host, "await-host", "4", 2, 8) \
  X(8, send_fd, "send-fd", "f", 1, 128) \
  X(9, receive_fd, "receive-fd", "+", 2, 0) \
  X(10, sync, "sync", "4", 1, 256) \
  X(11, report, "report", "4", 1, 256) \
  X(12, await_exec, "await-exec", "", 1, 128) \
  X(13, await_exit, "await-exit", "", 1, 160) \
  X(14, adopt_child, "adopt-child", "", 1, 128) \
  X(15, make_fifo, "make-fifo", "t4+", 1, 0) \
  X(16, open_below, "open-below", "ft+", 3, 0) \
  X(225, tell_failure, "tell-failure", "ttttt4t", 1, 0) \
  X(20, make_cgroup, "make-cgroup", "tt4+", 1, 0) \
  X(21, write_cgroup, "write-cgroup", "ftt4", 7, 0) \
  X(22, enable_controllers, "enable-controllers", "ttT", 1, 0) \
  X(23, move_child, "move-child", "f", 1, 128) \
  X(24, enter_cgroup, "enter-cgroup", "tt", 2, 0) \
  X(25, set_device_filter, "set-device-filter", "fb", 5, 0) \
  X(26, remove_cgroup, "remove-cgroup", "tt", 4, 0) \
  X(27, empty_cgroup, "empty-cgroup", "tt", 4, 0) \
  X(181, freeze_cgroup, "freeze-cgroup", "f444", 5, 0) \
  X(270, watch_memory, "watch-memory", "44?f", 1, 256) \
  X(182, write_cgroup_either, "write-cgroup-either", "ftttt", 5, 0) \
  X(183, delegate_cgroup, "delegate-cgroup", "fT4", 1, 0) \
  X(30, clone, "clone", "8?", 1, 64) \
  X(31, open_namespace, "open-namespace", "t8+", 1, 0) \
  X(32, open_child_namespace, "open-child-namespace", "8+", 1, 128) \
  X(33, join_namespace, "join-namespace", "f8", 3, 0) \
  X(34, unshare, "unshare", "8", 2, 0) \
  X(35, fork_again, "fork-again", "8", 2, 0) \
  X(36, write_id_map, "write-id-map", "4t4t", 1, 128) \
  X(37, set_time_offset, "set-time-offset", "t", 2, 0) \
  X(38, become_root, "become-root", "", 2, 0) \
  X(39, set_hostname, "set-hostname", "t", 2, 0) \
  X(40, set_domainname, "set-domainname", "t", 2, 0) \
  X(41, new_session, "new-session", "", 2, 8) \
  X(42, new_keyring, "new-keyring", "t", 2, 0) \
  X(43, raise_link, "raise-link", "t", 2, 0) \
  X(44, set_rlimit, "set-rlimit", "488", 2, 0) \
  X(45, set_priority, "set-priority", "48", 2, 0) \
  X(46, set_scheduler, "set-scheduler", "4884888", 2, 0) \
  X(47, set_affinity, "set-affinity", "b", 3, 0) \
  X(48, set_death_signal, "set-death-signal", "4", 2, 8) \
  X(49, run_hook, "run-hook", "tTTt4", 7, 8) \
  X(50, set_oom_score, "set-oom-score", "t", 1, 128) \
  X(51, set_memory_policy, "set-memory-policy", "4b", 2, 0) \
  X(52, make_user_namespace, "make-user-namespace", "tt+", 1, 0) \
  X(60, set_propagation, "set-propagation", "8", 2, 0) \
  X(61, clone_tree, "clone-tree", "t4+", 3, 0) \
  X(62, make_mount, "make-mount", "tT8+", 3, 0) \
  X(63, set_mount_attributes, "set-mount-attributes", "f8884?", 3, 0) \
  X(64, attach_mount, "attach-mount", "fft4", 2, 1) \
  X(65, attach_root, "attach-root", "f", 2, 1) \
  X(66, mask_path, "mask-path", "ft", 2, 1) \
  X(67, readonly_path, "readonly-path", "ft", 2, 1) \
  X(68, pivot, "pivot", "f4", 2, 3) \
  X(69, copy_up, "copy-up", "ftf", 2, 1) \
  X(70, open_proc, "open-proc", "4+", 2, 0) \
  X(71, write_proc, "write-proc", "ftt", 2, 0) \
  X(72, open_file_system, "open-file-system", "t+", 3, 0) \
  X(73, set_file_system_option, "set-file-system-option", "ft", 3, 0) \
  X(74, set_file_system_directory, "set-file-system-directory", "ftf", 3, 0) \
  X(75, create_mount, "create-mount", "-844+", 3, 0) \
  X(76, take_mode, "take-mode", "ftf", 2, 1) \
  X(242, clone_below, "clone-below", "?tt4+", 3, 0) \
  X(243, populate_volume, "populate-volume", "ftt4", 1, 0) \
  X(81, make_device, "make-device", "ft444444", 2, 1) \
  X(82, make_symlink_in_root, "make-symlink-in-root", "ftt", 2, 1) \
  X(83, set_cwd, "set-cwd", "t4", 2, 8) \
  X(100, set_stdio, "set-stdio", "???4", 2, 8) \
  X(101, set_umask, "set-umask", "4", 2, 8) \
  X(102, drop_bounding, "drop-bounding", "8", 2, 0) \
  X(103, set_user, "set-user", "44N4", 2, 8) \
  X(104, set_capabilities, "set-capabilities", "8888", 2, 8) \
  X(105, set_no_new_privileges, "set-no-new-privileges", "", 2, 8) \
  X(106, load_seccomp, "load-seccomp", "8b4", 2, 4) \
  X(107, receive_listener, "receive-listener", "4+", 1, 128) \
  X(108, default_home, "default-home", "4", 2, 8) \
  X(109, find_program, "find-program", "tT", 2, 8) \
  X(110, await_start, "await-start", "-f", 2, 8) \
  X(111, close_descriptors, "close-descriptors", "4", 2, 24) \
  X(112, exec, "exec", "TT", 2, 40) \
  X(170, open_terminal, "open-terminal", "?t44444+", 2, 1) \
  X(171, receive_terminal, "receive-terminal", "+", 1, 128) \
  X(172, take_terminal, "take-terminal", "-", 2, 8) \
  X(173, own_stdio, "own-stdio", "44", 3, 8) \
  X(174, connect_socket, "connect-socket", "t+", 1, 0) \
  X(175, send_descriptor, "send-descriptor", "-t?", 1, 128) \
  X(176, attend_child, "attend-child", "4???4", 1, 160) \
  X(177, open_notify, "open-notify", "ttt++", 1, 0) \
  X(178, relay_notify, "relay-notify", "--4", 1, 0) \
  X(179, set_listen_pid, "set-listen-pid", "", 2, 8) \
  X(230, make_state_directory, "make-state-directory", "tt", 1, 0) \
  X(231, give_descriptor, "give-descriptor", "f4", 1, 0) \
  X(232, remove_when_told, "remove-when-told", "tt", 4, 0) \
  X(233, watch_terminal, "watch-terminal", "4", 1, 288) \
  X(120, record_start, "record-start", "ttt", 1, 128) \
  X(226, record_pid, "record-pid", "", 1, 128) \
  X(126, open_shim, "open-shim", "tt484", 1, 0) \
  X(240, label_log, "label-log", "t", 1, 0) \
  X(282, pack_log, "pack-log", "TT", 1, 0) \
  X(297, relay_log, "relay-log", "TT", 1, 0) \
  X(241, forward_log, "forward-log", "4t444ttb44", 1, 0) \
  X(121, supervise, "supervise", "????4?4", 1, 160) \
  X(122, record_exit, "record-exit", "ttt", 4, 0) \
  X(123, remove_tree, "remove-tree", "tt", 12, 0) \
  X(124, run_program, "run-program", "TT", 5, 0) \
  X(256, run_program_asked, "run-program-asked", "tTT", 4, 0) \
  X(125, kill_child, "kill-child", "", 4, 0) \
  X(280, append_line, "append-line", "t8ttt", 4, 0) \
  X(281, watch_oom, "watch-oom", "ft8ttt", 1, 0) \
  X(160, open_process, "open-process", "48+", 1, 0) \
  X(161, open_cgroup, "open-cgroup", "tt+", 5, 0) \
  X(162, close_others, "close-others", "4?", 2, 512) \
  X(163, set_own_oom_score, "set-own-oom-score", "t", 2, 0) \
  X(164, hold_signals, "hold-signals", "", 1, 0) \
  X(166, prove_descriptors, "prove-descriptors", "4", 1, 0) \
  X(200, move_link, "move-link", "ttf", 1, 128) \
  X(201, make_resctrl_group, "make-resctrl-group", "tt4+", 5, 0) \
  X(202, write_schemata, "write-schemata", "ftt", 5, 0) \
  X(203, join_resctrl_group, "join-resctrl-group", "f", 1, 128) \
  X(204, remove_resctrl_group, "remove-resctrl-group", "tt", 4, 0) \
  X(206, remount, "remount", "ftT884", 2, 1) \
  X(205, send_listener, "send-listener", "-tt", 1, 128) \
  X(260, pin, "pin", "ft4", 1, 0) \
  X(261, unpin, "unpin", "t4", 4, 0) \
  X(262, end_child, "end-child", "", 1, 128) \
  X(263, stay, "stay", "", 2, 40) \
  X(264, become_pause, "become-pause", "t", 2, 40) \
  X(265, open_process_namespace, "open-process-namespace", "f48+", 1, 0) \
  X(266, take_tree, "take-tree", "ft8+", 1, 0) \
  X(290, hold_mount, "hold-mount", "-+", 1, 0) \
  X(291, take_held, "take-held", "f44+", 1, 0) \
  X(292, keep_held, "keep-held", "-4", 1, 0) \
  X(267, prepare_runtime, "prepare-runtime", "", 1, 0) \
  X(268, run_runtime, "run-runtime", "tTTt???4", 5, 0) \
  X(293, guard_runtime, "guard-runtime", "", 1, 0) \
  X(294, dismiss_guard, "dismiss-guard", "", 1, 128) \
  X(269, adopt_container, "adopt-container", "t", 1, 64) \
  X(275, listen_console, "listen-console", "tt+", 1, 0) \
  X(276, accept_console, "accept-console", "-+", 1, 0) \
  X(220, open_place, "open-place", "?t4+", 3, 0) \
  X(221, serve_criu, "serve-criu", "tt??", 2, 0) \
  X(222, await_criu, "await-criu", "bt", 1, 128) \
  X(223, take_restored, "take-restored", "", 1, 128) \
  X(224, receive_console, "receive-console", "+", 1, 128) \
  X(140, layer_root, "layer-root", "t4+", 8, 0) \
  X(141, layer_directory, "layer-directory", "ft", 8, 0) \
  X(142, layer_attributes, "layer-attributes", "ft44484", 8, 0) \
  X(143, layer_file, "layer-file", "ft444848484", 8, 0) \
  X(144, layer_append, "layer-append", "8484", 8, 0) \
  X(145, layer_link, "layer-link", "ftt", 8, 0) \
  X(146, layer_symlink, "layer-symlink", "ftt4484", 8, 0) \
  X(147, layer_node, "layer-node", "ft44444484", 8, 0) \
  X(148, layer_xattr, "layer-xattr", "fttb", 8, 0) \
  X(149, layer_whiteout, "layer-whiteout", "ft", 8, 0) \
  X(150, layer_opaque, "layer-opaque", "ft", 8, 0) \
  X(151, layer_inherit, "layer-inherit", "ftf", 8, 0) \
  X(152, layer_close, "layer-close", "-", 8, 0) \
  X(153, layer_settle, "layer-settle", "tTt", 8, 0) \
  X(250, view_overlay, "view-overlay", "Ttt4+", 8, 0) \
  X(251, view_mount, "view-mount", "ftt4", 8, 0) \
  X(252, view_container, "view-container", "484444+", 8, 0) \
  X(253, tree_stat, "tree-stat", "ft", 8, 0) \
  X(254, tree_list, "tree-list", "ft", 8, 0) \
  X(255, tree_read, "tree-read", "ft4", 8, 0) \
  X(155, layer_spool, "layer-spool", "8", 8, 0)

/* operand positions */
#define CLOSE_FD 0
#define MAKE_PIPE_READ 0
#define MAKE_PIPE_WRITE 1
#define TELL_CHILD_STEP 0
#define AWAIT_CHILD_STEP 0
#define TELL_HOST_STEP 0
#define AWAIT_HOST_STEP 0
#define SEND_FD_FD 0
#define RECEIVE_FD_FD 0
#define SYNC_POINT 0
#define REPORT_POINT 0
#define MAKE_FIFO_PATH 0
#define MAKE_FIFO_MODE 1
#define MAKE_FIFO_FD 2
#define OPEN_BELOW_DIR 0
#define OPEN_BELOW_PATH 1
#define OPEN_BELOW_FD 2
#define TELL_FAILURE_LOG 0
#define TELL_FAILURE_LINE 1
#define TELL_FAILURE_INTRO 2
#define TELL_FAILURE_HOST 3
#define TELL_FAILURE_CHILD 4
#define TELL_FAILURE_STATUS 5
#define TELL_FAILURE_TRACE 6
#define MAKE_CGROUP_MOUNT 0
#define MAKE_CGROUP_PATH 1
#define MAKE_CGROUP_INIT 2
#define MAKE_CGROUP_DIR 3
#define WRITE_CGROUP_DIR 0
#define WRITE_CGROUP_FILE 1
#define WRITE_CGROUP_VALUE 2
#define WRITE_CGROUP_OPTIONAL 3
#define ENABLE_CONTROLLERS_MOUNT 0
#define ENABLE_CONTROLLERS_PATH 1
#define ENABLE_CONTROLLERS_CONTROLLERS 2
#define MOVE_CHILD_DIR 0
#define ENTER_CGROUP_MOUNT 0
#define ENTER_CGROUP_PATH 1
#define SET_DEVICE_FILTER_DIR 0
#define SET_DEVICE_FILTER_PROGRAM 1
#define REMOVE_CGROUP_MOUNT 0
#define REMOVE_CGROUP_PATH 1
#define EMPTY_CGROUP_MOUNT 0
#define EMPTY_CGROUP_PATH 1
#define FREEZE_CGROUP_DIR 0
#define FREEZE_CGROUP_VERSION 1
#define FREEZE_CGROUP_FROZEN 2
#define FREEZE_CGROUP_TIMEOUT_MS 3
#define WATCH_MEMORY_POINT 0
#define WATCH_MEMORY_VERSION 1
#define WATCH_MEMORY_DIR 2
#define WATCH_MEMORY_PROCESS 3
#define WRITE_CGROUP_EITHER_DIR 0
#define WRITE_CGROUP_EITHER_FILE 1
#define WRITE_CGROUP_EITHER_VALUE 2
#define WRITE_CGROUP_EITHER_OTHERWISE 3
#define WRITE_CGROUP_EITHER_OTHER_VALUE 4
#define DELEGATE_CGROUP_DIR 0
#define DELEGATE_CGROUP_FILES 1
#define DELEGATE_CGROUP_UID 2
#define CLONE_NAMESPACES 0
#define CLONE_CGROUP 1
#define OPEN_NAMESPACE_PATH 0
#define OPEN_NAMESPACE_KIND 1
#define OPEN_NAMESPACE_FD 2
#define OPEN_CHILD_NAMESPACE_KIND 0
#define OPEN_CHILD_NAMESPACE_FD 1
#define JOIN_NAMESPACE_FD 0
#define JOIN_NAMESPACE_KIND 1
#define UNSHARE_NAMESPACES 0
#define FORK_AGAIN_NAMESPACES 0
#define WRITE_ID_MAP_KIND 0
#define WRITE_ID_MAP_MAP 1
#define WRITE_ID_MAP_SETGROUPS 2
#define WRITE_ID_MAP_HELPER 3
#define SET_TIME_OFFSET_OFFSETS 0
#define SET_HOSTNAME_NAME 0
#define SET_DOMAINNAME_NAME 0
#define NEW_KEYRING_NAME 0
#define RAISE_LINK_NAME 0
#define SET_RLIMIT_RESOURCE 0
#define SET_RLIMIT_SOFT 1
#define SET_RLIMIT_HARD 2
#define SET_PRIORITY_KIND 0
#define SET_PRIORITY_VALUE 1
#define SET_SCHEDULER_POLICY 0
#define SET_SCHEDULER_FLAGS 1
#define SET_SCHEDULER_NICE 2
#define SET_SCHEDULER_PRIORITY 3
#define SET_SCHEDULER_RUNTIME 4
#define SET_SCHEDULER_DEADLINE 5
#define SET_SCHEDULER_PERIOD 6
#define SET_AFFINITY_MASK 0
#define SET_DEATH_SIGNAL_SIGNAL 0
#define RUN_HOOK_PATH 0
#define RUN_HOOK_ARGS 1
#define RUN_HOOK_ENV 2
#define RUN_HOOK_STATE 3
#define RUN_HOOK_TIMEOUT_MS 4
#define SET_OOM_SCORE_VALUE 0
#define SET_MEMORY_POLICY_MODE 0
#define SET_MEMORY_POLICY_NODES 1
#define MAKE_USER_NAMESPACE_UID_MAP 0
#define MAKE_USER_NAMESPACE_GID_MAP 1
#define MAKE_USER_NAMESPACE_FD 2
#define SET_PROPAGATION_FLAGS 0
#define CLONE_TREE_PATH 0
#define CLONE_TREE_RECURSIVE 1
#define CLONE_TREE_FD 2
#define MAKE_MOUNT_TYPE 0
#define MAKE_MOUNT_OPTIONS 1
#define MAKE_MOUNT_ATTRIBUTES 2
#define MAKE_MOUNT_FD 3
#define SET_MOUNT_ATTRIBUTES_FD 0
#define SET_MOUNT_ATTRIBUTES_SET 1
#define SET_MOUNT_ATTRIBUTES_CLEAR 2
#define SET_MOUNT_ATTRIBUTES_PROPAGATION 3
#define SET_MOUNT_ATTRIBUTES_RECURSIVE 4
#define SET_MOUNT_ATTRIBUTES_USERNS 5
#define ATTACH_MOUNT_MOUNT 0
#define ATTACH_MOUNT_ROOT 1
#define ATTACH_MOUNT_PATH 2
#define ATTACH_MOUNT_OPTIONS 3
#define ATTACH_ROOT_MOUNT 0
#define MASK_PATH_ROOT 0
#define MASK_PATH_PATH 1
#define READONLY_PATH_ROOT 0
#define READONLY_PATH_PATH 1
#define PIVOT_ROOT 0
#define PIVOT_MODE 1
#define COPY_UP_ROOT 0
#define COPY_UP_PATH 1
#define COPY_UP_MOUNT 2
#define OPEN_PROC_PIDS 0
#define OPEN_PROC_FD 1
#define WRITE_PROC_PROC 0
#define WRITE_PROC_PATH 1
#define WRITE_PROC_VALUE 2
#define OPEN_FILE_SYSTEM_TYPE 0
#define OPEN_FILE_SYSTEM_FD 1
#define SET_FILE_SYSTEM_OPTION_CONTEXT 0
#define SET_FILE_SYSTEM_OPTION_OPTION 1
#define SET_FILE_SYSTEM_DIRECTORY_CONTEXT 0
#define SET_FILE_SYSTEM_DIRECTORY_KEY 1
#define SET_FILE_SYSTEM_DIRECTORY_DIR 2
#define CREATE_MOUNT_CONTEXT 0
#define CREATE_MOUNT_ATTRIBUTES 1
#define CREATE_MOUNT_UID 2
#define CREATE_MOUNT_GID 3
#define CREATE_MOUNT_FD 4
#define TAKE_MODE_ROOT 0
#define TAKE_MODE_PATH 1
#define TAKE_MODE_MOUNT 2
#define CLONE_BELOW_DIR 0
#define CLONE_BELOW_PATH 1
#define CLONE_BELOW_BELOW 2
#define CLONE_BELOW_RECURSIVE 3
#define CLONE_BELOW_FD 4
#define POPULATE_VOLUME_ROOT 0
#define POPULATE_VOLUME_PATH 1
#define POPULATE_VOLUME_VOLUME 2
#define POPULATE_VOLUME_DURABLE 3
#define MAKE_DEVICE_ROOT 0
#define MAKE_DEVICE_PATH 1
#define MAKE_DEVICE_TYPE 2
#define MAKE_DEVICE_MAJOR 3
#define MAKE_DEVICE_MINOR 4
#define MAKE_DEVICE_MODE 5
#define MAKE_DEVICE_UID 6
#define MAKE_DEVICE_GID 7
#define MAKE_SYMLINK_IN_ROOT_ROOT 0
#define MAKE_SYMLINK_IN_ROOT_PATH 1
#define MAKE_SYMLINK_IN_ROOT_TARGET 2
#define SET_CWD_PATH 0
#define SET_CWD_CREATE 1
#define SET_STDIO_STDIN 0
#define SET_STDIO_STDOUT 1
#define SET_STDIO_STDERR 2
#define SET_STDIO_NULL 3
#define SET_UMASK_MASK 0
#define DROP_BOUNDING_KEEP 0
#define SET_USER_UID 0
#define SET_USER_GID 1
#define SET_USER_GROUPS 2
#define SET_USER_SET_GROUPS 3
#define SET_CAPABILITIES_EFFECTIVE 0
#define SET_CAPABILITIES_PERMITTED 1
#define SET_CAPABILITIES_INHERITABLE 2
#define SET_CAPABILITIES_AMBIENT 3
#define LOAD_SECCOMP_FLAGS 0
#define LOAD_SECCOMP_FILTER 1
#define LOAD_SECCOMP_LISTENER 2
#define RECEIVE_LISTENER_TAKE 0
#define RECEIVE_LISTENER_FD 1
#define DEFAULT_HOME_UID 0
#define FIND_PROGRAM_NAME 0
#define FIND_PROGRAM_DIRECTORIES 1
#define AWAIT_START_FIFO 0
#define AWAIT_START_PROC 1
#define CLOSE_DESCRIPTORS_KEEP 0
#define EXEC_ARGS 0
#define EXEC_ENV 1
#define OPEN_TERMINAL_ROOT 0
#define OPEN_TERMINAL_CONSOLE 1
#define OPEN_TERMINAL_ROWS 2
#define OPEN_TERMINAL_COLUMNS 3
#define OPEN_TERMINAL_LIKE 4
#define OPEN_TERMINAL_UID 5
#define OPEN_TERMINAL_PLAIN 6
#define OPEN_TERMINAL_FD 7
#define RECEIVE_TERMINAL_FD 0
#define TAKE_TERMINAL_FD 0
#define OWN_STDIO_UID 0
#define OWN_STDIO_KINDS 1
#define CONNECT_SOCKET_PATH 0
#define CONNECT_SOCKET_FD 1
#define SEND_DESCRIPTOR_SOCKET 0
#define SEND_DESCRIPTOR_PAYLOAD 1
#define SEND_DESCRIPTOR_DESCRIPTOR 2
#define ATTEND_CHILD_CONSOLE 0
#define ATTEND_CHILD_TERMINAL 1
#define ATTEND_CHILD_NOTIFY 2
#define ATTEND_CHILD_MANAGER 3
#define ATTEND_CHILD_MAIN_PID 4
#define OPEN_NOTIFY_DIR 0
#define OPEN_NOTIFY_NAME 1
#define OPEN_NOTIFY_MANAGER 2
#define OPEN_NOTIFY_FD 3
#define OPEN_NOTIFY_PEER 4
#define RELAY_NOTIFY_SOCKET 0
#define RELAY_NOTIFY_MANAGER 1
#define RELAY_NOTIFY_PID 2
#define MAKE_STATE_DIRECTORY_DIR 0
#define MAKE_STATE_DIRECTORY_NAME 1
#define GIVE_DESCRIPTOR_FD 0
#define GIVE_DESCRIPTOR_UID 1
#define REMOVE_WHEN_TOLD_DIR 0
#define REMOVE_WHEN_TOLD_NAME 1
#define WATCH_TERMINAL_TERMINAL 0
#define RECORD_START_DIR 0
#define RECORD_START_NAME 1
#define RECORD_START_RECORD 2
#define OPEN_SHIM_SOCKET 0
#define OPEN_SHIM_LOG 1
#define OPEN_SHIM_FORMAT 2
#define OPEN_SHIM_LIMIT_BYTES 3
#define OPEN_SHIM_FILES 4
#define LABEL_LOG_ATTRIBUTES 0
#define PACK_LOG_ARGS 0
#define PACK_LOG_ENV 1
#define RELAY_LOG_ARGS 0
#define RELAY_LOG_ENV 1
#define FORWARD_LOG_PROTOCOL 0
#define FORWARD_LOG_ADDRESS 1
#define FORWARD_LOG_PORT 2
#define FORWARD_LOG_FORMAT 3
#define FORWARD_LOG_FACILITY 4
#define FORWARD_LOG_HOST 5
#define FORWARD_LOG_TAG 6
#define FORWARD_LOG_FIELDS 7
#define FORWARD_LOG_PATIENT 8
#define FORWARD_LOG_BUFFER_BYTES 9
#define SUPERVISE_STDIN 0
#define SUPERVISE_STDOUT 1
#define SUPERVISE_STDERR 2
#define SUPERVISE_TERMINAL 3
#define SUPERVISE_STOP_SIGNAL 4
#define SUPERVISE_CGROUP 5
#define SUPERVISE_FREEZER 6
#define RECORD_EXIT_DIR 0
#define RECORD_EXIT_NAME 1
#define RECORD_EXIT_RECORD 2
#define REMOVE_TREE_DIR 0
#define REMOVE_TREE_NAME 1
#define RUN_PROGRAM_ARGS 0
#define RUN_PROGRAM_ENV 1
#define RUN_PROGRAM_ASKED_MARKER 0
#define RUN_PROGRAM_ASKED_ARGS 1
#define RUN_PROGRAM_ASKED_ENV 2
#define APPEND_LINE_PATH 0
#define APPEND_LINE_LIMIT_BYTES 1
#define APPEND_LINE_LINE 2
#define APPEND_LINE_NAME 3
#define APPEND_LINE_RENAMED 4
#define WATCH_OOM_DIR 0
#define WATCH_OOM_PATH 1
#define WATCH_OOM_LIMIT_BYTES 2
#define WATCH_OOM_LINE 3
#define WATCH_OOM_NAME 4
#define WATCH_OOM_RENAMED 5
#define OPEN_PROCESS_PID 0
#define OPEN_PROCESS_START 1
#define OPEN_PROCESS_FD 2
#define OPEN_CGROUP_MOUNT 0
#define OPEN_CGROUP_PATH 1
#define OPEN_CGROUP_DIR 2
#define CLOSE_OTHERS_KEEP 0
#define CLOSE_OTHERS_FD 1
#define SET_OWN_OOM_SCORE_VALUE 0
#define PROVE_DESCRIPTORS_COUNT 0
#define MOVE_LINK_NAME 0
#define MOVE_LINK_AS 1
#define MOVE_LINK_NAMESPACE 2
#define MAKE_RESCTRL_GROUP_MOUNT 0
#define MAKE_RESCTRL_GROUP_PATH 1
#define MAKE_RESCTRL_GROUP_MAKE 2
#define MAKE_RESCTRL_GROUP_DIR 3
#define WRITE_SCHEMATA_DIR 0
#define WRITE_SCHEMATA_MOUNT 1
#define WRITE_SCHEMATA_VALUE 2
#define JOIN_RESCTRL_GROUP_DIR 0
#define REMOVE_RESCTRL_GROUP_MOUNT 0
#define REMOVE_RESCTRL_GROUP_PATH 1
#define REMOUNT_ROOT 0
#define REMOUNT_PATH 1
#define REMOUNT_OPTIONS 2
#define REMOUNT_SET 3
#define REMOUNT_CLEAR 4
#define REMOUNT_RECURSIVE 5
#define SEND_LISTENER_FD 0
#define SEND_LISTENER_PATH 1
#define SEND_LISTENER_STATE 2
#define PIN_FD 0
#define PIN_PATH 1
#define PIN_KIND 2
#define UNPIN_PATH 0
#define UNPIN_KIND 1
#define BECOME_PAUSE_NAME 0
#define OPEN_PROCESS_NAMESPACE_PROCESS 0
#define OPEN_PROCESS_NAMESPACE_PID 1
#define OPEN_PROCESS_NAMESPACE_KIND 2
#define OPEN_PROCESS_NAMESPACE_FD 3
#define TAKE_TREE_NAMESPACE 0
#define TAKE_TREE_PATH 1
#define TAKE_TREE_TYPE 2
#define TAKE_TREE_FD 3
#define HOLD_MOUNT_MOUNT 0
#define HOLD_MOUNT_HELD 1
#define TAKE_HELD_PROCESS 0
#define TAKE_HELD_PID 1
#define TAKE_HELD_NUMBER 2
#define TAKE_HELD_HELD 3
#define KEEP_HELD_HELD 0
#define KEEP_HELD_NUMBER 1
#define RUN_RUNTIME_PATH 0
#define RUN_RUNTIME_ARGS 1
#define RUN_RUNTIME_ENV 2
#define RUN_RUNTIME_DIRECTORY 3
#define RUN_RUNTIME_STDIN 4
#define RUN_RUNTIME_STDOUT 5
#define RUN_RUNTIME_STDERR 6
#define RUN_RUNTIME_TIMEOUT_MS 7
#define ADOPT_CONTAINER_PID_FILE 0
#define LISTEN_CONSOLE_DIR 0
#define LISTEN_CONSOLE_NAME 1
#define LISTEN_CONSOLE_FD 2
#define ACCEPT_CONSOLE_SOCKET 0
#define ACCEPT_CONSOLE_FD 1
#define OPEN_PLACE_ROOT 0
#define OPEN_PLACE_PATH 1
#define OPEN_PLACE_DIRECTORY 2
#define OPEN_PLACE_FD 3
#define SERVE_CRIU_IMAGES 0
#define SERVE_CRIU_WORK 1
#define SERVE_CRIU_NETWORK 2
#define SERVE_CRIU_PIDS 3
#define AWAIT_CRIU_REQUEST 0
#define AWAIT_CRIU_POINT 1
#define RECEIVE_CONSOLE_FD 0
#define LAYER_ROOT_PATH 0
#define LAYER_ROOT_OPTIONS 1
#define LAYER_ROOT_ROOT 2
#define LAYER_DIRECTORY_ROOT 0
#define LAYER_DIRECTORY_PATH 1
#define LAYER_ATTRIBUTES_ROOT 0
#define LAYER_ATTRIBUTES_PATH 1
#define LAYER_ATTRIBUTES_MODE 2
#define LAYER_ATTRIBUTES_UID 3
#define LAYER_ATTRIBUTES_GID 4
#define LAYER_ATTRIBUTES_SECONDS 5
#define LAYER_ATTRIBUTES_NANOSECONDS 6
#define LAYER_FILE_ROOT 0
#define LAYER_FILE_PATH 1
#define LAYER_FILE_MODE 2
#define LAYER_FILE_UID 3
#define LAYER_FILE_GID 4
#define LAYER_FILE_SECONDS 5
#define LAYER_FILE_NANOSECONDS 6
#define LAYER_FILE_SIZE 7
#define LAYER_FILE_MORE 8
#define LAYER_FILE_FROM 9
#define LAYER_FILE_LENGTH 10
#define LAYER_APPEND_OFFSET 0
#define LAYER_APPEND_MORE 1
#define LAYER_APPEND_FROM 2
#define LAYER_APPEND_LENGTH 3
#define LAYER_LINK_ROOT 0
#define LAYER_LINK_PATH 1
#define LAYER_LINK_TARGET 2
#define LAYER_SYMLINK_ROOT 0
#define LAYER_SYMLINK_PATH 1
#define LAYER_SYMLINK_TARGET 2
#define LAYER_SYMLINK_UID 3
#define LAYER_SYMLINK_GID 4
#define LAYER_SYMLINK_SECONDS 5
#define LAYER_SYMLINK_NANOSECONDS 6
#define LAYER_NODE_ROOT 0
#define LAYER_NODE_PATH 1
#define LAYER_NODE_TYPE 2
#define LAYER_NODE_MAJOR 3
#define LAYER_NODE_MINOR 4
#define LAYER_NODE_MODE 5
#define LAYER_NODE_UID 6
#define LAYER_NODE_GID 7
#define LAYER_NODE_SECONDS 8
#define LAYER_NODE_NANOSECONDS 9
#define LAYER_XATTR_ROOT 0
#define LAYER_XATTR_PATH 1
#define LAYER_XATTR_NAME 2
#define LAYER_XATTR_VALUE 3
#define LAYER_WHITEOUT_ROOT 0
#define LAYER_WHITEOUT_PATH 1
#define LAYER_OPAQUE_ROOT 0
#define LAYER_OPAQUE_PATH 1
#define LAYER_INHERIT_ROOT 0
#define LAYER_INHERIT_PATH 1
#define LAYER_INHERIT_FROM 2
#define LAYER_CLOSE_ROOT 0
#define LAYER_SETTLE_DIR 0
#define LAYER_SETTLE_NAMES 1
#define LAYER_SETTLE_MARK 2
#define VIEW_OVERLAY_LOWER 0
#define VIEW_OVERLAY_UPPER 1
#define VIEW_OVERLAY_WORK 2
#define VIEW_OVERLAY_OPTIONS 3
#define VIEW_OVERLAY_ROOT 4
#define VIEW_MOUNT_ROOT 0
#define VIEW_MOUNT_PATH 1
#define VIEW_MOUNT_SOURCE 2
#define VIEW_MOUNT_READONLY 3
#define VIEW_CONTAINER_PID 0
#define VIEW_CONTAINER_START 1
#define VIEW_CONTAINER_BARE 2
#define VIEW_CONTAINER_OPTIONS 3
#define VIEW_CONTAINER_UID 4
#define VIEW_CONTAINER_GID 5
#define VIEW_CONTAINER_ROOT 6
#define TREE_STAT_ROOT 0
#define TREE_STAT_PATH 1
#define TREE_LIST_ROOT 0
#define TREE_LIST_PATH 1
#define TREE_READ_ROOT 0
#define TREE_READ_PATH 1
#define TREE_READ_HOLES 2
#define LAYER_SPOOL_BYTES 0
#endif
