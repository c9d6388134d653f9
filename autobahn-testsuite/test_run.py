"""Tests of the runner's own logic; needs neither `wstest` nor a peer.

Run with `python3 -m unittest` in this folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

import cases
import processes
import roles
import summary
import verdict
from wstest import Suite

SELECTED = ["1.1.1", "6.4.3", "7.1.6", "12.1.1", "12.1.5", "12.2.5", "13.4.11"]


class ReportsOnDisk(unittest.TestCase):
    """Writes reports the way `wstest` does, to be spoilt and judged."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.index = {}
        self.details = {}
        self.starts = list(SELECTED)
        for case in SELECTED:
            self.add(case)
        self.index["7.1.6"].update(behavior="INFORMATIONAL", behaviorClose="INFORMATIONAL")

    def add(self, case: str) -> None:
        file = f"motorway_case_{case.replace('.', '_')}.json"
        entry = {"behavior": "OK", "behaviorClose": "OK", "duration": 10, "reportfile": file}
        self.index[case] = entry
        self.details[case] = {"description": "What is <br/>sent.", "result": "Ok"}
        if cases.section(case) in ("12", "13"):
            self.set_traffic(case, wire=80_000)

    def set_traffic(self, case: str, wire: int) -> None:
        stats = {"incomingOctetsWireLevel": wire, "incomingOctetsAppLevel": 1_000_000}
        self.details[case]["trafficStats"] = stats

    def write(self, agent: str = "motorway", folder: Path | None = None) -> Path:
        folder = folder or self.folder
        folder.mkdir(exist_ok=True)
        (folder / "index.json").write_text(json.dumps({agent: self.index}))
        for case, details in self.details.items():
            (folder / self.index[case]["reportfile"]).write_text(json.dumps(details))
        lines = [f"Running test case ID {case} for agent {agent}\n" for case in self.starts]
        (folder / "wstest.log").write_text("".join(lines))
        return folder

    def judge(self, *folders: Path) -> verdict.Verdict:
        read = list(folders) or [self.write()]
        return verdict.judge(SELECTED, verdict.read_reports(read), verdict.count_starts(read))

    def assert_fails(self, judged: verdict.Verdict, *words: str) -> None:
        self.assertEqual(len(judged.problems), 1, judged.problems)
        for word in words:
            self.assertIn(word, judged.problems[0])
        outcome = summary.RoleOutcome("server", SELECTED, [], judged, 1.0, 1.0)
        self.assertGreater(outcome.failed(), 0)


class Judging(ReportsOnDisk):
    def test_perfect_reports_pass(self) -> None:
        judged = self.judge()
        self.assertEqual(judged.problems, [])
        self.assertEqual(judged.passed, len(SELECTED))
        self.assertEqual(judged.traffic.ratio(), 0.08)

    def test_missing_case_fails(self) -> None:
        del self.index["6.4.3"], self.details["6.4.3"]
        self.assert_fails(self.judge(), "1 cases have no report", "6.4.3")

    def test_missing_index_fails(self) -> None:
        self.assert_fails(self.judge(self.folder), "7 cases have no report")

    def test_non_strict_fails(self) -> None:
        self.index["6.4.3"]["behavior"] = "NON-STRICT"
        self.assert_fails(self.judge(), "6.4.3: NON-STRICT, close OK", "What is sent.")

    def test_unimplemented_fails(self) -> None:
        self.index["12.1.5"]["behavior"] = "UNIMPLEMENTED"
        self.assert_fails(self.judge(), "12.1.5: UNIMPLEMENTED")

    def test_bad_close_alone_fails(self) -> None:
        for behavior in ("FAILED BY CLIENT", "UNCLEAN", "WRONG CODE", "FAILED"):
            self.index["1.1.1"]["behaviorClose"] = behavior
            self.assert_fails(self.judge(), f"1.1.1: OK, close {behavior}")

    def test_unknown_verdict_fails(self) -> None:
        self.index["1.1.1"]["behavior"] = "ok"
        self.assert_fails(self.judge(), "1.1.1: ok")

    def test_case_in_two_chunks_fails(self) -> None:
        first = self.write()
        self.index = {"1.1.1": self.index["1.1.1"]}
        self.details, self.starts = {}, []
        second = self.write(folder=self.folder / "second")
        self.assert_fails(self.judge(first, second), "ran more than once", "1.1.1")

    def test_case_run_twice_fails(self) -> None:
        self.starts.append("6.4.3")
        self.assert_fails(self.judge(), "ran more than once", "6.4.3")

    def test_case_not_selected_fails(self) -> None:
        self.add("9.1.1")
        self.assert_fails(self.judge(), "not selected", "9.1.1")

    def test_several_agents_fail(self) -> None:
        first = self.write()
        self.index = {"1.1.1": self.index.pop("1.1.1")}
        self.details = {}
        second = self.write("other", self.folder / "second")
        problems = self.judge(first, second).problems
        self.assertTrue(any("several agents" in problem for problem in problems))


class JudgingTraffic(ReportsOnDisk):
    def test_uncompressed_fails(self) -> None:
        for case in ("12.1.5", "13.4.11"):
            self.set_traffic(case, wire=1_004_000)
        problems = self.judge().problems
        self.assertEqual(len(problems), 2)
        self.assertIn("12.1.*: not compressed: 1.004 octets", problems[0])
        self.assertIn("13.4.*: not compressed", problems[1])

    def test_one_uncompressed_subsection_fails(self) -> None:
        self.set_traffic("13.4.11", wire=1_004_000)
        self.assert_fails(self.judge(), "13.4.*: not compressed")

    def test_ratio_at_the_limit_passes(self) -> None:
        self.set_traffic("13.4.11", wire=500_000)
        self.assertEqual(self.judge().problems, [])

    def test_missing_figures_fail(self) -> None:
        self.details["12.1.5"]["trafficStats"] = None
        self.assert_fails(self.judge(), "12.1.5", "no traffic figures")

    def test_short_messages_and_images_need_not_shrink(self) -> None:
        for case in ("12.1.1", "12.2.5"):
            self.set_traffic(case, wire=1_100_000)
        self.assertEqual(self.judge().problems, [])


class Selecting(unittest.TestCase):
    known = cases.all_cases()

    def test_there_are_517_cases(self) -> None:
        self.assertEqual(len(set(self.known)), 517)
        self.assertEqual(len(cases.select("*", self.known)), 517)
        self.assertEqual(len(cases.select("1-10", self.known)), 301)
        self.assertEqual(len(cases.select("12.*,13", self.known)), 216)

    def test_patterns_are_not_prefixes(self) -> None:
        self.assertEqual(cases.select("12.1.1", self.known), ["12.1.1"])
        self.assertEqual(len(cases.select("1", self.known)), 16)
        self.assertEqual(len(cases.select("12.1", self.known)), 18)

    def test_overlapping_patterns_select_once(self) -> None:
        self.assertEqual(cases.select("6.4.*, 6.4.3,6.4", self.known).count("6.4.3"), 1)

    def test_pattern_without_cases_is_refused(self) -> None:
        for patterns in ("11", "1-7,8", "nonsense", ""):
            with self.assertRaises(ValueError):
                cases.select(patterns, self.known)

    def test_quick_samples_every_subsection(self) -> None:
        selected = cases.quick(self.known)
        self.assertEqual(len(selected), 301 + 36)
        subsections = set(map(cases.subsection, self.known))
        self.assertEqual(set(map(cases.subsection, selected)), subsections)

    def test_sample_has_one_case_of_each_subsection(self) -> None:
        selected = cases.sample(self.known)
        self.assertEqual(len(selected), 301 + 12)
        subsections = set(map(cases.subsection, self.known))
        self.assertEqual(set(map(cases.subsection, selected)), subsections)
        self.assertEqual(sum(map(cases.is_compressible, selected)), 10)

    def test_chunks_hold_every_case_once(self) -> None:
        for jobs in (1, 2, 16, 600):
            split = cases.chunks(self.known, jobs)
            self.assertEqual(sorted(sum(split, [])), sorted(self.known))
            self.assertGreaterEqual(len(split), min(jobs, 517))
            costs = [sum(map(cases.cost, chunk)) for chunk in split]
            self.assertLess(max(costs), 2 * cases.CHUNK_COST)


class Running(unittest.TestCase):
    """Chunks whose processes misbehave; shell commands stand in for them."""

    def run_chunk(self, role: str, wstest: str, command: str, timeout: float = 10) -> list[str]:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        suite = Suite("stand-in", [sys.executable, "-c", wstest])
        folder = Path(scratch.name) / role
        settings = roles.Settings(role, command, suite, folder, 1, timeout)
        with contextlib.redirect_stdout(io.StringIO()):
            (chunk,) = roles.run_role(settings, [["1.1.1"]])
        self.assertFalse(processes.is_any_running())
        return chunk.problems

    def test_server_that_does_not_start_fails(self) -> None:
        (problem,) = self.run_chunk("server", "", "sh -c 'echo no luck; exit 7'")
        self.assertIn("exited with status 7", problem)
        self.assertIn("| no luck", problem)

    def test_server_that_dies_fails(self) -> None:
        dies = "sh -c 'echo listening on 127.0.0.1:9; sleep 0.5; kill -9 $$'"
        (problem,) = self.run_chunk("server", "import time; time.sleep(60)", dies)
        self.assertIn("died of signal 9", problem)

    def test_timeout_fails_with_both_outputs(self) -> None:
        stays = "sh -c 'echo listening on 127.0.0.1:9; sleep 60'"
        hangs = "import time; print('Running test case ID 1.1.1 for x', flush=True); time.sleep(60)"
        (problem,) = self.run_chunk("server", hangs, stays, timeout=1)
        self.assertIn("not finished after 1 s; last case started: 1.1.1", problem)
        self.assertIn("| listening on", problem)

    def test_silent_wstest_fails(self) -> None:
        stays = "sh -c 'echo listening on 127.0.0.1:9; sleep 60'"
        (problem,) = self.run_chunk("server", "", stays)
        self.assertIn("no report", problem)

    def test_client_that_fails_fails(self) -> None:
        (problem,) = self.run_chunk("client", FAKE_FUZZING_SERVER, "sh -c 'exit 4'")
        self.assertIn("the client exited with status 4", problem)

    def test_tls_is_asked_for_by_url_and_certificate(self) -> None:
        settings = roles.Settings("client", "", None, Path(), 1, 1, Path("/tls"))
        self.assertEqual(settings.url(9001), "wss://127.0.0.1:9001")
        settings = roles.Settings("client", "", None, Path(), 1, 1)
        self.assertEqual(settings.url(9001), "ws://127.0.0.1:9001")

    def test_client_that_asks_for_no_report_fails(self) -> None:
        (problem,) = self.run_chunk("client", FAKE_FUZZING_SERVER, "true")
        self.assertIn("/updateReports", problem)


FAKE_FUZZING_SERVER = """
import json, socket, sys
port = int(json.load(open(sys.argv[4]))["url"].rsplit(":", 1)[1])
print("\\nCases = [...]", flush=True)
listener = socket.create_server(("127.0.0.1", port))
while True:
    listener.accept()[0].close()
"""

if __name__ == "__main__":
    unittest.main()
