"""Where the parts of a finished run lie: its own, and what a labelled run shares with the plain one."""

from s2f import provenance
from s2f.study.finished import Finished


def made(folder, *notebooks, of=()):
    folder.mkdir(parents=True, exist_ok=True)
    about = provenance.collect(root=folder, device="cpu", seed=0, n_threads=1, started=0.0)
    facts = dict.fromkeys(notebooks, about.model_copy(update={"inputs": dict.fromkeys(of, "an id")}))
    provenance.write_stages(folder, provenance.read_stages(folder) | facts)


def test_parts_lie_where_the_records_of_the_results_say(tmp_path):
    own, plain = Finished(tmp_path / "demo-more" / "s0"), tmp_path / "demo" / "s0"
    made(plain / "store", "02_preprocessing")
    made(plain / "general", "05_training", "06_metrics", of=["demo/s0/store:02_preprocessing"])
    made(plain / "females", "05_training", "06_metrics")
    made(own.home / "general", "05_training")  # of an earlier question under this label
    made(own.home / "general", "06_metrics", of=["demo/s0/general:05_training"])
    made(own.home / "results", "07_results", of=["demo-more/s0/general:06_metrics", "demo-more/s1/general:06_metrics"])
    assert own.plain == plain and own.variants == ["general"]
    (own.home / "males").mkdir()  # of an earlier question, too
    (own.home / "males" / "metrics.json").touch()
    assert own.has("general") and not own.has("males")
    assert own.folder("metrics") == own.home / "general"
    assert own.folder("model") == plain / "general"
    assert own.folder("store") == plain / "store"
    made(plain / "code", "04_face_code")  # which these results do not hang on
    assert own.folder("code") == own.home / "code"
    assert {path.parent for path in own.made_of.values()} == {own.home, plain}
    for home, pages in (
        (plain, ["02_preprocessing", "05_training_general"]),
        (own.home, ["06_metrics_general", "07_results", "03_models"]),
    ):
        assert [own.page(name) for name in pages] == [home / "notebooks" / f"{name}.ipynb" for name in pages]


def test_without_records_a_run_has_its_own_folders_and_the_plain_ones_for_what_variants_share(tmp_path):
    own = Finished(tmp_path / "demo-more" / "s0")
    (own.home / "voice").mkdir(parents=True)
    assert own.folder("voice") == own.home / "voice"
    assert own.folder("store") == own.plain / "store"
    assert own.folder("model", variant="females") == own.home / "females"
    assert own.variants == []
    (own.home / "males").mkdir()
    (own.home / "males" / "metrics.json").touch()
    assert own.variants == ["males"] and own.has("females")
