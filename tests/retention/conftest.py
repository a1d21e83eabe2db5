"""The suite's own asserts show what they compared."""

import pytest

pytest.register_assert_rewrite("aiqms.retention.conformance")
