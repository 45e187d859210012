import assert from "node:assert/strict";
import test from "node:test";
import { metricText } from "./metric-text.ts";

test("metrics have help, type and samples; labels are quoted as Prometheus reads them", () => {
  const text = metricText([
    {
      name: "gantry_containers",
      help: "Containers by state",
      kind: "gauge",
      samples: [
        { labels: { state: "running" }, value: 2 },
        { labels: { state: 'a"b\\c\nd' }, value: 0.5 },
      ],
    },
    { name: "gantry_none", help: "Nobody has one", kind: "counter", samples: [] },
    { name: "gantry_up", help: "Alone", kind: "gauge", samples: [{ value: 1 }] },
  ]);
  assert.equal(
    text,
    [
      "# HELP gantry_containers Containers by state",
      "# TYPE gantry_containers gauge",
      'gantry_containers{state="running"} 2',
      'gantry_containers{state="a\\"b\\\\c\\nd"} 0.5',
      "# HELP gantry_up Alone",
      "# TYPE gantry_up gauge",
      "gantry_up 1",
      "",
    ].join("\n"),
  );
});
