"""`python3 -m unittest` runs this here, without wasm: the host is played by `sluice.testing`."""

import unittest

from sluice import testing

from connector import MyConnector


class Reading(unittest.TestCase):
    def test_a_page_leads_to_the_next(self) -> None:
        following = "https://api.todo.example/lists/home/tasks?page=2"
        task = {"id": 1, "updated_at": "2026-01-01T08:00:00Z"}
        testing.serve(lambda request: testing.answer(200, [task], {"link": f'<{following}>; rel="next"'}))
        page = MyConnector().read(testing.connection({"list": "home"}), testing.read_request("tasks"))
        self.assertEqual(testing.requests[0].url, "https://api.todo.example/lists/home/tasks?per_page=100")
        self.assertEqual(page.cursor, {"since": "2026-01-01T08:00:00Z", "next": following})
        self.assertEqual((page.more, page.changes[0].id), (True, 1))

    def test_another_run_asks_for_what_changed(self) -> None:
        testing.serve(lambda request: testing.answer(200, []))
        request = testing.read_request("tasks", {"since": "2026-01-01T08:00:00Z"})
        page = MyConnector().read(testing.connection({"list": "home"}), request)
        self.assertTrue(testing.requests[0].url.endswith("&updated_since=2026-01-01T08%3A00%3A00Z"))
        self.assertEqual((page.cursor, page.more), ({"since": "2026-01-01T08:00:00Z"}, False))


if __name__ == "__main__":
    unittest.main()
