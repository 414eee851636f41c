import asyncio
import json

import pytest

from backout.demo.gate import Gate, Mode


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_waiting_requests_are_let_in_in_order(tmp_path):
    async def run():
        gate, order = Gate(tmp_path / "mode", most_inside=2), []
        await gate.set_mode(Mode.QUEUE, "test")

        async def request(number):
            assert await gate.enter()
            order.append(number)
            await settle()
            await gate.leave()

        tasks = []
        for number in range(20):
            tasks.append(asyncio.create_task(request(number)))
            await settle()
        assert (gate.waiting, gate.inside, order) == (20, 0, [])
        await gate.set_mode(Mode.PASS, "test")
        assert gate.inside <= 2
        await asyncio.gather(*tasks)
        return order, gate.inside

    assert asyncio.run(run()) == (list(range(20)), 0)


def test_a_request_that_goes_away_leaves_no_place_taken(tmp_path):
    async def run():
        gate = Gate(tmp_path / "mode", most_inside=1)
        assert await gate.enter()
        gone, next_one = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
        await settle()
        await gate.leave()  # The first one's turn has come, but it is cancelled before it runs.
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await asyncio.wait_for(next_one, 1)
        await gate.leave()
        return gate.inside

    assert asyncio.run(run()) == 0


def test_maintenance_turns_away_also_those_who_waited(tmp_path):
    async def run():
        gate = Gate(tmp_path / "mode")
        await gate.set_mode(Mode.QUEUE, "test")
        waiting = asyncio.create_task(gate.enter())
        await settle()
        await gate.set_mode(Mode.MAINTENANCE, "test")
        return await waiting, await gate.enter(), gate.inside

    assert asyncio.run(run()) == (False, False, 0)


def test_drained_answers_yes_no_or_changed(tmp_path):
    async def run():
        gate = Gate(tmp_path / "mode")
        assert await gate.enter()
        await gate.set_mode(Mode.QUEUE, "test")
        late = await gate.drained(Mode.QUEUE, 0.01)
        waiting = asyncio.create_task(gate.drained(Mode.QUEUE, 5))
        await settle()
        await gate.set_mode(Mode.PASS, "somebody else")
        changed = await waiting
        await gate.set_mode(Mode.QUEUE, "test")
        await gate.leave()
        return late, changed, await gate.drained(Mode.QUEUE, 5)

    assert asyncio.run(run()) == (False, None, True)


def test_the_mode_outlives_a_restart(tmp_path):
    asyncio.run(Gate(tmp_path / "mode").set_mode(Mode.QUEUE, "by hand"))
    again = Gate(tmp_path / "mode")
    assert (again.mode, again.reason) == (Mode.QUEUE, "by hand")
    assert [path.name for path in tmp_path.iterdir()] == ["mode"]


@pytest.mark.parametrize("text", ["", "{", '{"mode": "open", "reason": ""}', '{"reason": ""}', "[]"])
def test_a_kept_mode_that_cannot_be_read_is_not_guessed(tmp_path, text):
    (tmp_path / "mode").write_text(text)
    with pytest.raises((ValueError, KeyError, TypeError)):
        Gate(tmp_path / "mode")


def test_a_mode_that_cannot_be_kept_is_not_in_force(tmp_path):
    gate = Gate(tmp_path / "gone" / "mode")
    with pytest.raises(OSError):
        asyncio.run(gate.set_mode(Mode.QUEUE, "test"))
    assert gate.mode == Mode.PASS
    assert json.dumps(gate.mode) == '"pass"'
