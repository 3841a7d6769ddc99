"""`flykd-console refresh`: the profile of a bundle on a newer graph, and what changed."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from exporters.diff import BundleDiff, TailDiff
    from flykd_console.graph.new_edges import NewEdges
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory


def command(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder; its run must still be there.")],
    graph: Annotated[str, typer.Option(metavar="GRAPH", help="The newer graph: a name or a path, as in run --graph.")],
    top: Annotated[int, typer.Option(metavar="N", help="How many first entries of a ranking are looked at.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the difference as JSON.")] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Write the difference as .md, .html or .json; may be repeated.", show_default=False
        ),
    ] = None,
) -> None:
    """Train a bundle's model again on a newer graph, export it, and say what moved and which new edges explain it.

    The new bundle lies in `export/` of the new run. The same command goes on where it was stopped.

    * `flykd-console refresh runs/OLD/export --graph kg-2026.csv.gz --out diff.html`
    """
    from exporters.bundle import export_run
    from exporters.diff import diff_bundles
    from exporters.manifest import read_manifest
    from flykd_console.cli.diff import check_forms, deliver
    from flykd_console.cli.plan import carry_out_jobs, conclude
    from flykd_console.cli.prepare import check_files
    from flykd_console.plans.job import make_job
    from flykd_console.profile.load import Override, load_profile

    check_forms(out or [])
    manifest = read_manifest(bundle)
    run = _run_of(bundle, manifest.run)
    origin = f"--graph {graph}"
    settings = [Override("graph.source", graph, origin)]
    check_files(load_profile(run.profile, settings), str(run.profile))
    # The mean of several seeds is trained again as all seeds of its profile.
    seed = manifest.seeds[0] if len(manifest.seeds) == 1 else None
    job = make_job(run.profile, settings, label="refreshed", seed=seed)
    outcomes = carry_out_jobs([job], at_once="1", engine="local", fresh=False, quiet=json)
    code = conclude(outcomes, quiet=json)
    if outcomes[0].state != "finished":
        raise typer.Exit(code)
    made = export_run(job.directory, model=manifest.model, seed=seed, ensemble=seed is None)
    diff = diff_bundles(bundle, made.path, top=top)
    edges = _new_edges(load_profile(run.profile), job.profile, str(manifest.graph.get("fingerprint", "")))
    deliver(diff if edges is None else explained(diff, edges), json=json, out=out or [])
    print(f"The new bundle: {made.path}", file=sys.stderr if json else sys.stdout)


def explained(diff: BundleDiff, edges: NewEdges) -> BundleDiff:
    """The difference, with the new edges that may explain each new entry."""

    def with_edges(tail: TailDiff) -> TailDiff:
        end = (diff.tail_type, tail.tail_id)
        new = [dataclasses.replace(one, why=edges.between((diff.head_type, one.head_id), end)) for one in tail.new]
        return dataclasses.replace(tail, new=new)

    relations = [
        dataclasses.replace(relation, tails=[with_edges(tail) for tail in relation.tails])
        for relation in diff.relations
    ]
    return dataclasses.replace(diff, relations=relations)


def _run_of(bundle: Path, name: str) -> RunDirectory:
    """The run that a bundle was exported from: the folder that it lies in, or the run of that name.

    Raises:
        UserError: It is not there any more.
    """
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.find import find_run

    around = RunDirectory(bundle.absolute().parent)
    if around.name == name and around.profile.is_file():
        return around
    try:
        return find_run(name)
    except UserError:
        raise UserError(
            f"the run {name} of this bundle is not there", str(bundle), "Its profile says how to train again."
        ) from None


def _new_edges(before: Profile, after: Profile, fingerprint: str) -> NewEdges | None:
    """The new edges; None, which is said, where the old graph is not there as it was."""
    from flykd_console.graph.load import load_graph
    from flykd_console.graph.new_edges import NewEdges

    try:
        old = load_graph(before.graph)
    except UserError as error:
        print(f"New edges are not told: {error}", file=sys.stderr)
        return None
    if fingerprint and old.fingerprint != fingerprint:
        source = before.graph.source
        print(f"New edges are not told: {source} is not the graph that the bundle was made of.", file=sys.stderr)
        return None
    return NewEdges(old, load_graph(after.graph))
