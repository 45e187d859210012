/* Made by tools/generate-native.ts from src/plan/. Do not edit. */
#ifndef GEN_PROTOCOL_H
#define GEN_PROTOCOL_H
#define FRAME_LIMIT 16777216u
#define REQUEST_PLAN 1
#define REQUEST_GO 2
#define REQUEST_ABORT 3
#define REQUEST_STDIN 4
#define REQUEST_STDIN_END 5
#define REQUEST_RESIZE 6
#define REQUEST_SIGNAL 7
#define REQUEST_ATTACH 8
#define REQUEST_WAIT 9
#define REQUEST_DISOWN 10
#define REQUEST_HOLD 11
#define REPLY_SYNC 65
#define REPLY_REPORTED 66
#define REPLY_FAILED 67
#define REPLY_DONE 68
#define REPLY_STDOUT 69
#define REPLY_STDERR 70
#define REPLY_EXIT 71
#define REPLY_ANSWER 72
#define REPLY_SIZE 73
#define REPLY_ENTRY 85
#define REPLY_DATA 86
#define REPLY_EXTENTS 87
#define POINT_CREATED 1
#define POINT_STARTED 2
#define POINT_NETWORK 3
#define POINT_READY 5
#define POINT_MEMORY 6
#define POINT_UNIT 9
#define STAGE_CHECK 0
#define STAGE_HOST 1
#define STAGE_CHILD 2
#define STAGE_CLEANUP 3
#define STAGE_LAYER 4
#endif
