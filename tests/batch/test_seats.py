"""How many requests of batches run beside others."""

from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.batch.lines import Line
from zoran_ray.batch.seats import OTHERS, Seats
from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo, ReplicaLoad


def line(model):
    return Line(1, 0, 0, "a", model)


def fleet(capacity=16, running=0, replicas=1, state="ready"):
    model = ModelInfo("local/m", ("m",), "g", "app", "embedded")
    each = [
        ReplicaInfo(
            f"r{n}", "local/m", "g", "http://x", "s", capacity, 100, ("generate",),
            load=ReplicaLoad(running=running), state=state,
        )
        for n in range(replicas)
    ]  # fmt: skip
    return FleetSnapshot("e", 1, models={"local/m": model}, replicas=tuple(each))


def entered(seats, *models):
    lines = [line(model) for model in models]
    return [each for each in lines if seats.enter(each)]


def test_an_eighth_stays_free_and_names_of_one_model_share():
    seats = Seats()
    seats.update(fleet(16, replicas=2))
    models = ["local/m", "m", "zoran/tot:local/m", "zoran/cot:m"] * 20
    taken = entered(seats, *models)
    assert len(taken) == 28
    seats.leave(taken[0])
    assert len(entered(seats, *models)) == 1


def test_what_others_run_is_not_taken_and_one_always_goes_on():
    seats = Seats()
    seats.update(fleet(16, running=10))
    assert seats.most("local/m") == 4
    seats.update(fleet(16, running=99))
    assert len(entered(seats, *["m"] * 5)) == 1
    seats.update(fleet(16, replicas=0))
    assert seats.most("local/m") == 1
    seats.update(fleet(16, state="draining"))
    assert seats.most("local/m") == 1


def test_ours_in_what_replicas_say_are_not_counted_as_others():
    seats = Seats()
    seats.update(fleet(16))
    assert len(entered(seats, *["m"] * 99)) == 14
    seats.update(fleet(16, running=14))
    assert seats.most("local/m") == 14


def test_all_that_is_not_served_here_has_one_bound():
    seats = Seats()
    assert len(entered(seats, *["zoran/auto", "openai/gpt", "zoran/tot"] * 30)) == OTHERS


@given(
    st.lists(
        st.tuples(st.sampled_from(["m", "x", "zoran/a:m"]), st.integers(0, 3), st.booleans()), max_size=60
    )
)
def test_places_come_back_whatever_the_fleet_does(steps):
    seats, held = Seats(), []
    for model, replicas, leaves in steps:
        seats.update(fleet(8, replicas=replicas))
        if leaves and held:
            seats.leave(held.pop())
        else:
            held += entered(seats, model)
    for each in held:
        seats.leave(each)
    assert not +seats._taken
    assert not seats._seated
