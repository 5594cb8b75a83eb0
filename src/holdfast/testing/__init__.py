"""What tests of holdfast need, for ours and for third parties' code: contract suites and real servers to run against.

A suite is a class of tests for pytest; a third party's test derives from it and gives its fixture:

    class TestOurBackend(BackendContract):
        @pytest.fixture
        def backend(self): ...

Not here: tests. Nothing of holdfast imports this room.
"""
