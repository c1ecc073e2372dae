"""`python3 -m unittest` runs this here, without wasm: the host is played by `sluice.testing`."""

import unittest

from sluice import testing

from connector import MyConnector


class Reading(unittest.TestCase):
    def test_a_page_leads_to_the_next(self) -> None:
        following = "https://api.todo.example/lists/home/tasks?page=2"
        testing.serve(lambda request: testing.answer(200, [{"id": 1}], {"link": f'<{following}>; rel="next"'}))
        page = MyConnector().read(testing.connection({"list": "home"}), testing.read_request("tasks"))
        self.assertEqual(testing.requests[0].url, "https://api.todo.example/lists/home/tasks?per_page=100")
        self.assertEqual((page.cursor, page.more, page.changes[0].id), (following, True, 1))


if __name__ == "__main__":
    unittest.main()
