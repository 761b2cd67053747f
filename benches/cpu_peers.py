"""Networks with random weights for `cargo xtask bench cpu`, and what PyTorch, ONNX Runtime and OpenVINO take for them.

Usage: cpu_peers.py prepare NETWORK Z Y X FOLDER   writes weights.safetensors, network.onnx, image.f32 and scores.f32
       cpu_peers.py PEER FOLDER THREADS            runs a tile for each line on standard input, prints its seconds;
                                                   at the end its memory and the largest deviation

Its memory is the most that is resident while tiles run, less what the imports need and the weights themselves.
"""
import json
import os
import struct
import sys
import time

import numpy


def network(name):
    import torch
    from torch import nn

    torch.manual_seed(0)
    unet = dict(
        conv_op=nn.Conv3d, conv_bias=True, norm_op=nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=False,
        features_per_stage=[32, 64, 128, 256, 320, 320], n_stages=6, input_channels=1, num_classes=25,
    )
    if name == "plain":
        from dynamic_network_architectures.architectures.unet import PlainConvUNet
        return PlainConvUNet(kernel_sizes=3, strides=[1] + [2] * 5, n_conv_per_stage=[2] * 6,
                             n_conv_per_stage_decoder=[2] * 5, **unet)
    if name == "resenc":
        from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
        return ResidualEncoderUNet(kernel_sizes=[[1, 3, 3]] + [[3, 3, 3]] * 5, strides=[1, [1, 2, 2], 2, 2, 2, 2],
                                   n_blocks_per_stage=[1, 3, 4, 6, 6, 6], n_conv_per_stage_decoder=[1] * 5, **unet)
    from monai.networks.nets import SegResNet, SegResNetDS
    if name == "segresnet":
        return SegResNet(spatial_dims=3, in_channels=1, out_channels=105, init_filters=32, blocks_down=[1, 2, 2, 4],
                         blocks_up=[1, 1, 1], dropout_prob=0.2)
    return SegResNetDS(init_filters=32, blocks_down=[1, 2, 2, 4, 4], norm="INSTANCE", in_channels=1, out_channels=25,
                       dsdepth=4)


def prepare(name, shape, folder):
    import torch

    os.makedirs(folder, exist_ok=True)
    net = network(name).eval()
    header, data = {}, []
    for key, tensor in net.state_dict().items():
        values = tensor.detach().float().contiguous().numpy()
        start = sum(map(len, data))
        data.append(values.tobytes())
        header[key] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [start, start + len(data[-1])]}
    weight_bytes = sum(4 * parameter.numel() for parameter in net.parameters())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{folder}/weights.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data))
    image = torch.randn(1, 1, *shape)
    image.numpy().tofile(f"{folder}/image.f32")
    with torch.inference_mode():
        net(image).numpy().tofile(f"{folder}/scores.f32")
    torch.onnx.export(net, (image,), f"{folder}/network.onnx", opset_version=18, dynamo=False, input_names=["x"],
                      output_names=["y"])
    with open(f"{folder}/case.json", "w") as file:
        json.dump({"network": name, "shape": shape, "weight_bytes": weight_bytes}, file)


def memory(key):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(key))


def peer(name, folder, threads):
    case = json.load(open(f"{folder}/case.json"))
    shape = case["shape"]
    if name == "torch":
        import torch
        torch.set_num_threads(threads)
        import dynamic_network_architectures.architectures.unet, monai.networks.nets  # noqa: E401, F401
    elif name == "onnxruntime":
        import onnxruntime
    else:
        import openvino
    before = memory("VmRSS")
    image = numpy.fromfile(f"{folder}/image.f32", numpy.float32).reshape(1, 1, *shape)
    if name == "torch":
        net, tensor = network(case["network"]).eval(), torch.from_numpy(image)
        def run():
            with torch.inference_mode():
                return net(tensor).numpy()
    elif name == "onnxruntime":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(f"{folder}/network.onnx", options, ["CPUExecutionProvider"])
        run = lambda: session.run(None, {"x": image})[0]
    else:
        model = openvino.Core().read_model(f"{folder}/network.onnx")
        model.reshape([1, 1, *shape])
        hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        request = openvino.Core().compile_model(model, "CPU", hints).create_infer_request()
        def run():
            request.infer({0: image})
            return request.get_output_tensor(0).data
    scores = run()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # The record of the most memory begins anew.
    print("ready", flush=True)
    for _ in sys.stdin:
        scores = None
        start = time.perf_counter()
        scores = run()
        print(time.perf_counter() - start, flush=True)
    peak = memory("VmHWM") - before - case["weight_bytes"]
    expected = numpy.fromfile(f"{folder}/scores.f32", numpy.float32)
    deviation = float(numpy.abs(scores.ravel() - expected).max() / numpy.abs(expected).max())
    print(json.dumps({"peak_bytes": peak, "deviation": deviation}))


if sys.argv[1] == "prepare":
    prepare(sys.argv[2], [int(size) for size in sys.argv[3:6]], sys.argv[6])
else:
    peer(sys.argv[1], sys.argv[2], int(sys.argv[3]))
