"""What reads a weight in an iteration has read it before its update, in the graph that TensorFlow really runs."""

import collections

import pytest
from conftest import SMALL
from iterating import iterate
from tensorflow.python.eager import context

import loader
from wavegan_asmr.config import Config
from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
from wavegan_asmr.training.loop import choose_strategy

_PASSING_ON = ("Enter", "Switch", "Identity", "Merge", "NextIteration")
"""Operations of loops by which a variable comes to what reads or updates it."""


@pytest.fixture
def slices(recordings):
    opened, _ = loader.open_recordings(recordings)
    return loader.Slices(opened, SMALL["data_slice_len"])


def run_graphs(run):
    """What `run` has executed: a list of dicts of node name to node."""
    context.context().enable_graph_collection()
    try:
        run()
        metadata = context.context().export_run_metadata()
    finally:
        context.context().disable_graph_collection()
    graphs = [graph for function in metadata.function_graphs for graph in function.partition_graphs]
    return [{node.name: node for node in graph.node} for graph in graphs]


def name_of(edge):
    return edge.lstrip("^").split(":")[0]


def variable_of(nodes, edge):
    """Name of the node that a variable comes from."""
    node = nodes[name_of(edge)]
    while node.op in _PASSING_ON:
        node = nodes[name_of(node.input[0])]
    return node.name


def before(nodes, node):
    """Names of the nodes that have run when a node runs, of the same round of a loop or before the loop."""
    found, waiting = set(), [node]
    while waiting:
        node = waiting.pop()
        if node.op != "NextIteration":
            new = {name_of(edge) for edge in node.input} - found
            found |= new
            waiting += [nodes[name] for name in new]
    return found


@pytest.mark.parametrize("loss", ["hinge", "wgan-gp"])
def test_what_reads_a_weight_comes_before_its_update(slices, loss):
    trainer = WaveGANTrainer(Config(**SMALL | {"wavegan_loss": loss, "wavegan_disc_nupdates": 2}), choose_strategy())
    (nodes,) = (
        nodes
        for nodes in run_graphs(lambda: iterate(trainer, slices, 1))
        if any(node.op == "ResourceApplyAdam" for node in nodes.values())
    )
    reads = collections.defaultdict(list)
    for node in nodes.values():
        if node.op == "ReadVariableOp":
            reads[variable_of(nodes, node.input[0])].append(node)
    updates = [node for node in nodes.values() if node.op == "ResourceApplyAdam"]
    assert len(updates) == len(trainer.discriminator.variables) + len(trainer.generator.variables)
    count = 0
    for update in updates:
        in_loop, earlier = "while/body" in update.name, before(nodes, update)
        for read in reads[variable_of(nodes, update.input[0])]:
            if ("while/body" in read.name) == in_loop and update.name not in before(nodes, read):
                assert read.name in earlier, f"{read.name} may read what {update.name} has written"
                count += 1
    assert count > 2 * len(trainer.discriminator.variables)
