"""onnxruntime: predictions only, of a graph of Gemm and activation nodes."""

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softmax": "Softmax"}


def version():
    return onnxruntime.__version__


def model(case):
    """Return the case's network as a serialised ONNX model."""
    nodes, weights, name = [], [], "X"
    layers = zip(case.layers, case.initial_parameters(), strict=True)
    for k, ((_, _, activation), (W, b)) in enumerate(layers):
        weights += [numpy_helper.from_array(W, f"W{k}"), numpy_helper.from_array(b, f"b{k}")]
        nodes.append(helper.make_node("Gemm", [name, f"W{k}", f"b{k}"], [f"z{k}"], transB=1))
        name = f"z{k}"
        if activation != "identity":
            nodes.append(helper.make_node(ACTIVATIONS[activation], [name], [f"a{k}"]))
            name = f"a{k}"
    real = TensorProto.FLOAT if case.dtype == "float32" else TensorProto.DOUBLE
    ends = [
        helper.make_tensor_value_info(end, real, (case.batch_size, size))
        for end, size in (("X", case.sizes[0]), (name, case.sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


class Prediction:
    def __init__(self, case, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(model(case), options, ["CPUExecutionProvider"])
        run, one = session.run, case.batch_size == 1
        self.call = lambda X: run(None, {"X": X[None] if one else X})[0]
