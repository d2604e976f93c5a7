"""What a gateway remembers of conversations."""

from serve_apps.gateway.conversations import RETRY_S, Conversations


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_who_answered_is_known_to_the_same_key_alone():
    talks = Conversations(Clock())
    talks.answered("a", 7, "local/m")
    assert talks.arm("a", 7) == "local/m"
    assert talks.arm("b", 7) is None
    assert talks.arm("a", None) is None


def test_the_same_request_again_names_the_first_for_a_while():
    clock = Clock()
    talks = Conversations(clock)
    assert talks.asked("a", b"body", "one") is None
    assert talks.asked("b", b"body", "two") is None
    assert talks.asked("a", b"other", "three") is None
    clock.now = RETRY_S
    assert talks.asked("a", b"body", "four") == "one"
    clock.now = 2 * RETRY_S + 1
    assert talks.asked("a", b"body", "five") is None


def test_the_oldest_are_forgotten():
    talks = Conversations(Clock(), most=3)
    for n in range(10):
        talks.answered("a", n, f"arm{n}")
        talks.asked("a", str(n).encode(), str(n))
    assert len(talks) == 6
    assert talks.arm("a", 6) is None
    assert talks.arm("a", 7) == "arm7"
