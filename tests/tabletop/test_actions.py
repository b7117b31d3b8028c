"""The paths of hand and things: what each action means, and that only time tells partners apart."""

import numpy as np
import pytest

from w3action.tabletop import REVERSE_OF
from w3action.tabletop.actions import Timeline, draw_timeline
from w3action.tabletop.motion import Track
from w3action.tabletop.scene import draw_scene
from w3action.tabletop.stage import SIZE

SEEDS = range(12)


def drawn(label: str, seed: int):
    return draw_scene(np.random.default_rng(seed), label)


def drawn_alike(label: str, other: str, seed: int) -> tuple[Timeline, Timeline]:
    """Both actions with one cast and the same random numbers."""
    cast = drawn(label, seed).cast
    return tuple(draw_timeline(np.random.default_rng(seed), name, cast, 48) for name in (label, other))


def columns(track: Track) -> np.ndarray:
    return np.stack([track.x, track.y, track.z, track.yaw, track.roll])


@pytest.mark.parametrize(("second", "first"), REVERSE_OF.items())
def test_mirrored_actions_are_each_other_backwards(second, first):
    for seed in SEEDS:
        forwards, backwards = drawn_alike(first, second, seed)
        np.testing.assert_array_equal(columns(forwards.target), columns(backwards.target)[:, ::-1])
        np.testing.assert_array_equal(columns(forwards.grip), columns(backwards.grip)[:, ::-1])
        for name in ("reach", "twist", "acting", "inside", "dropped"):
            np.testing.assert_array_equal(getattr(forwards, name), getattr(backwards, name)[::-1], err_msg=name)
        assert (forwards.prop is None) == (backwards.prop is None)
        if forwards.prop is not None:
            np.testing.assert_array_equal(columns(forwards.prop), columns(backwards.prop)[:, ::-1])


@pytest.mark.parametrize("label", ["Pushing something right", "Moving something closer", "Turning something clockwise"])
def test_the_hand_comes_and_goes_alike(label):
    """Else its presence early or late would give away the order."""
    cast, rng = drawn(label, 0).cast, np.random.default_rng(0)
    ends = np.array([draw_timeline(rng, label, cast, 40).reach[[0, -1]] for _ in range(400)])
    assert abs(ends[:, 0].mean() - ends[:, 1].mean()) < 0.12
    assert 0.1 < ends.mean() < 0.9


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [("Pushing something right", 35.9, 62.1), ("Pushing something left", -62.1, -35.9)],
)
def test_pushes_go_sideways(label, low, high):
    for seed in SEEDS:
        target = drawn(label, seed).timeline.target
        assert low <= target.x[-1] - target.x[0] <= high
        assert abs(target.y[-1] - target.y[0]) < 5
        assert (target.z == 0).all()
        assert target.x.min() > 8
        assert target.x.max() < SIZE - 8


@pytest.mark.parametrize(
    ("label", "sign"), [("Turning something clockwise", 1), ("Turning something counterclockwise", -1)]
)
def test_turns_are_more_than_a_quarter(label, sign):
    for seed in SEEDS:
        timeline = drawn(label, seed).timeline
        assert 90 < sign * (timeline.target.yaw[-1] - timeline.target.yaw[0]) < 270
        assert np.ptp(timeline.target.x) == np.ptp(timeline.target.y) == 0


@pytest.mark.parametrize(("label", "sign"), [("Moving something closer", 1), ("Moving something away", -1)])
def test_nearer_things_are_lower_and_larger(label, sign):
    for seed in SEEDS:
        scene = drawn(label, seed)
        y = scene.timeline.target.y
        assert sign * (y[-1] - y[0]) > 35
        ratio = scene.cast.stage.scale(y[-1]) / scene.cast.stage.scale(y[0])
        assert ratio**sign > 1.25


@pytest.mark.parametrize(("label", "top"), [("Lifting something up", -1), ("Putting something down", 0)])
def test_what_is_in_the_air_stays_in_the_image_and_in_the_hand(label, top):
    for seed in SEEDS:
        scene = drawn(label, seed)
        target, reach = scene.timeline.target, scene.timeline.reach
        assert target.z[top] >= 25
        assert target.z[-1 - top] == 0
        assert (reach[target.z > 0] == 1).all()
        assert target.y[top] - target.z[top] - scene.cast.tall(scene.cast.target, target.y[top]) > 0


def test_what_goes_into_a_container_ends_between_its_walls():
    for seed in SEEDS:
        scene = drawn("Putting something into something", seed)
        target, prop = scene.timeline.target, scene.timeline.prop
        assert abs(target.x[0] - prop.x[0]) > 30
        assert abs(target.x[-1] - prop.x[-1]) < 0.5
        assert not scene.timeline.inside[0]
        assert scene.timeline.inside[-1]
        crossing = np.argmax(scene.timeline.inside)
        assert (
            target.z[crossing] > scene.cast.tall(scene.cast.prop, prop.y[0]) * 0.8
        )  # over the rim, not through the wall


def test_a_cover_ends_over_the_object_and_hides_it():
    for seed in SEEDS:
        scene = drawn("Covering something", seed)
        target, prop = scene.timeline.target, scene.timeline.prop
        assert scene.timeline.holds_prop
        assert abs(prop.x[0] - target.x[0]) > 30
        assert prop.x[-1] == pytest.approx(target.x[-1])
        assert prop.y[-1] > target.y[-1]  # nearer, so drawn later
        assert scene.cast.prop.height >= scene.cast.target.height
        assert scene.cast.prop.radius >= scene.cast.target.radius


def test_pretending_moves_the_hand_alike_and_the_object_not():
    for seed in SEEDS:
        real, pretended = drawn_alike("Picking something up", "Pretending to pick something up", seed)
        np.testing.assert_array_equal(columns(real.grip), columns(pretended.grip))
        np.testing.assert_array_equal(real.reach, pretended.reach)
        assert np.ptp(columns(pretended.target), axis=1).max() == 0
        assert np.hypot(real.target.x[-1] - real.target.x[0], real.target.y[-1] - real.target.y[0]) > 18
        assert real.target.z.max() > 12


def test_falling_and_almost_falling_part_only_once_the_object_tips():
    for seed in SEEDS:
        falls, almost = drawn_alike(
            "Pushing something so that it falls", "Pushing something so that it almost falls", seed
        )
        np.testing.assert_array_equal(columns(falls.grip), columns(almost.grip))
        np.testing.assert_array_equal(falls.reach, almost.reach)
        parting = np.argmax(falls.target.roll != almost.target.roll)
        assert falls.target.roll[parting - 1] > 20
        np.testing.assert_array_equal(columns(falls.target)[:, :parting], columns(almost.target)[:, :parting])
        assert falls.dropped[-1]
        assert falls.target.z[-1] < -10
        assert (np.diff(falls.dropped.astype(int)) >= 0).all()
        assert not almost.dropped.any()
        assert almost.target.roll[-1] == pytest.approx(0)
        assert almost.target.z[-1] == pytest.approx(0)


@pytest.mark.parametrize("label", ["Lifting something up", "Pushing something left", "Covering something"])
def test_arms_enter_from_three_sides_whatever_the_action(label):
    shoulders = np.array([drawn(label, seed).timeline.shoulder for seed in range(40)])
    below = shoulders[:, 1] > 150
    left, right = (shoulders[:, 0] < 0) & ~below, (shoulders[:, 0] > SIZE) & ~below
    assert min(below.mean(), left.mean(), right.mean()) > 0.1
    assert (below | left | right).all()


def test_bystanders_move_by_themselves_and_keep_clear_of_the_action():
    moved = total = 0
    for seed in SEEDS:
        scene = drawn("Pushing something right", seed)
        target = scene.timeline.target
        for bystander in scene.bystanders:
            total += 1
            moved += np.ptp(columns(bystander.track), axis=1).max() > 3
            distance = np.hypot(bystander.track.x[0] - target.x[0], 1.3 * (bystander.track.y[0] - target.y[0]))
            assert distance > 8
    assert total > 10
    assert moved / total > 0.5


def test_the_camera_shakes_by_at_most_a_pixel_and_a_half():
    shakes = [drawn("Pushing something left", seed).shake for seed in SEEDS]
    assert max(np.abs(shake).max() for shake in shakes) <= 1.5
    assert max(np.abs(shake).max() for shake in shakes) > 0.5
