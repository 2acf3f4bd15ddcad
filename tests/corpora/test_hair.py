"""Hair and glasses: where hair grows, how far it hangs, and meshes that fit together."""

import numpy as np
import pytest

from s2f.corpora.synthetic import anatomy, body, camera, hair


def measures(person, **changed):
    return anatomy.measures(person | changed)


def at(x, y, z):
    return np.array([(x, y, z)])


def test_hair_grows_on_the_skull_and_not_on_the_face(average):
    a = measures(average, fringe=0.0, hair_loss=0.0)
    inside = [
        float(hair.line(a, at(*p))[0])
        for p in ((0, 1.05, -0.2), (0.7, 0.5, -0.2), (0, 0.3, -1.1), (0, 0.4, 0.8), (0, -0.3, 1.0))
    ]
    assert min(inside[:3]) > 0 > max(inside[3:])


@pytest.mark.parametrize(("trait", "low", "high"), [("hair_loss", 2.0, -1.0), ("fringe", 0.0, 1.0)])
def test_loss_bares_the_forehead_and_a_fringe_covers_it(average, trait, low, high):
    bare, covered = (hair.line(measures(average, **{trait: value}), at(0.0, 0.5, 0.75))[0] for value in (low, high))
    assert covered > bare + 0.05


def test_a_bald_head_keeps_the_hair_at_its_sides(average):
    a = measures(average, hair_loss=3.2)
    assert a["bald"] == 1
    assert hair.line(a, at(0.0, 1.0, 0.1))[0] < 0 < hair.line(a, at(0.72, 0.25, -0.3))[0]


def test_the_cap_lies_on_the_head_and_grows_with_volume(average):
    model = body.load()
    means = []
    for volume in (-1.5, 2.0):
        a = measures(average, hair_volume=volume, fringe=0.0)
        head = anatomy.head(average, a)
        mesh = hair.cap(a, head, hair.line(a, model.vertices), np.random.default_rng(0))
        nearest = np.linalg.norm(mesh.vertices[:, None] - head[None, model.part == 0], axis=2).min(axis=1)
        assert nearest.max() < 0.5 and mesh.triangles.max() == len(mesh.vertices) - 1
        means.append(np.linalg.norm(mesh.vertices - hair.CENTRE, axis=1).mean())
    assert means[1] > means[0] + 0.02


def test_the_longer_the_hair_the_lower_its_ends(average):
    ends = []
    for length in (-2.0, 0.3, 0.6, 2.0):
        a = measures(average, hair_length=length)
        mesh = hair.sheets(a, anatomy.head(average, a), np.random.default_rng(0))
        ends.append(mesh.vertices[:, 1].min() if len(mesh.vertices) else 0.7)
    assert ends[0] == 0.7 and (np.diff(ends) < -0.2).all()


def test_a_curtain_is_seen_from_both_sides_and_leaves_the_face_free(average):
    a = measures(average, hair_length=2.0)
    mesh = hair.sheets(a, anatomy.head(average, a), np.random.default_rng(0))
    n = len(mesh.vertices) // 2
    np.testing.assert_array_equal(mesh.vertices[:n], mesh.vertices[n:])
    outside = np.einsum("vk,vk->v", mesh.normals[:n], (mesh.vertices[:n] - hair.CENTRE) * [1, 0, 1])
    assert (outside > 0).mean() > 0.95
    face = (np.abs(mesh.vertices[:, 0]) < 0.4) & (mesh.vertices[:, 2] > 0.3) & (mesh.vertices[:, 1] < 0.4)
    assert not face.any()


def test_glasses_sit_before_the_eyes(average):
    a = measures(average)
    head = anatomy.head(average, a)
    mesh = hair.glasses(a, head)
    model = body.load()
    eyes = head[np.isin(model.part, (1, 2))]
    front = mesh.vertices[mesh.vertices[:, 2] > eyes[:, 2].max()]
    assert front[:, 0].min() < eyes[:, 0].min() and front[:, 0].max() > eyes[:, 0].max()
    assert abs(front[:, 1].mean() - eyes[:, 1].mean()) < 0.1


def test_joined_meshes_keep_their_triangles(average):
    a = measures(average, hair_length=2.0)
    head = anatomy.head(average, a)
    meshes = [
        camera._cavity(head),
        hair.sheets(a, head, np.random.default_rng(0)),
        hair.glasses(a, head),
        hair._nothing(),
    ]
    whole = hair.joined(meshes)
    corners = np.concatenate([mesh.vertices[mesh.triangles].reshape(-1, 3) for mesh in meshes])
    np.testing.assert_array_equal(whole.vertices[whole.triangles].reshape(-1, 3), corners)
    assert len(whole.places) == len(whole.open) == len(whole.normals) == len(whole.vertices)
