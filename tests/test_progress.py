"""Is it time?, and the line that shows how far a long step is."""

from wavegan_asmr import progress


def test_timer(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    timer = progress.Timer(10)
    answers = []
    for now_s[0] in (0, 9, 10, 11, 19, 20.5, 40):
        answers.append(timer.is_due())
    assert answers == [False, False, True, False, False, True, True]
