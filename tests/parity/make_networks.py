#!/usr/bin/env python3
"""Makes cases for the test of MONAI's networks with MONAI itself: small networks with random weights, a random image
tile, and the scores that MONAI gives. Cases that need another version than the one installed are left out: run it
once more with that version and the same folder.

    python -m venv V && V/bin/pip install torch einops monai==1.6.1
    V/bin/python tests/parity/make_networks.py FOLDER
    VOXSEG_NETWORK_CASES=FOLDER cargo test --lib networks_of_monai -- --nocapture
"""
import json, sys
from pathlib import Path

import monai, torch
from monai.networks import nets

VERSION = monai.__version__.split("+")[0]
OLD = tuple(map(int, VERSION.split(".")[:2])) < (1, 5)
TILE, DEEP = [32, 24, 40], [32, 32, 64]
UNET = dict(spatial_dims=3, in_channels=2, out_channels=3, channels=[4, 8, 12], strides=[2, 2])
DYNUNET = dict(spatial_dims=3, in_channels=1, out_channels=3, kernel_size=[[3, 3, 1], 3, 3, 3], strides=[1, [2, 2, 1], 2, 2],
               upsample_kernel_size=[[2, 2, 1], 2, 2], filters=[4, 6, 8, 10])
DS = dict(init_filters=4, in_channels=1, out_channels=3, blocks_down=[1, 2, 2], dsdepth=2)
SWIN = dict(in_channels=1, out_channels=3, feature_size=12, num_heads=[2, 3, 4, 6])
LEAKY = ["leakyrelu", {"negative_slope": 0.2, "inplace": True}]
GROUP = ["GROUP", {"num_groups": 2}]
CASES = {
    "segresnet": ("SegResNet", dict(init_filters=8), TILE),
    "segresnet_deconv": ("SegResNet", dict(init_filters=8, in_channels=3, out_channels=6, upsample_mode="deconv", norm_name="group",
                                           dropout_prob=0.2, blocks_down=[1, 2, 2], blocks_up=[1, 2]), TILE),
    "segresnet_batch": ("SegResNet", dict(norm="batch", act=["prelu", {"num_parameters": 1, "init": 0.2}]), TILE),
    "segresnet_instance": ("SegResNet", dict(norm="INSTANCE", act="elu", use_conv_final=False), TILE),
    "segresnet_2d": ("SegResNet", dict(spatial_dims=2), [48, 56]),
    "ds": ("SegResNetDS", DS, TILE),
    "ds_nvfuser": ("SegResNetDS", dict(DS, norm="INSTANCE_NVFUSER", act=LEAKY, blocks_up=[2, 1]), TILE),
    "ds_aniso": ("SegResNetDS", dict(DS, norm="INSTANCE", resolution=[1.05, 5.0, 1.05], blocks_down=[1, 2, 2, 1], dsdepth=4), [32, 10, 40]),
    "ds_aniso_linear": ("SegResNetDS", dict(DS, norm=GROUP, resolution=[0.8, 0.8, 2.0], upsample_mode="nontrainable"), TILE),
    "ds_linear": ("SegResNetDS", dict(DS, act="prelu", norm=["batch", {"affine": False, "eps": 0.001}], upsample_mode="nontrainable"), TILE),
    "ds_flat": ("SegResNetDS", dict(DS, blocks_down=[2]), TILE),
    "ds_2d": ("SegResNetDS", dict(DS, spatial_dims=2), [48, 56]),
    "unet_residual": ("UNet", dict(UNET, num_res_units=2, norm="batch"), TILE),
    "unet_instance": ("Unet", dict(UNET, num_res_units=1, channels=[4, 8, 8, 12], strides=[2, 1, [2, 2, 1]]), TILE),
    "unet_plain": ("UNet", dict(UNET, act=LEAKY, norm=["instance", {"affine": True, "eps": 1e-3}], bias=False), TILE),
    "unet_kernels": ("UNet", dict(UNET, kernel_size=[3, 5, 1], up_kernel_size=[5, 3, 1], num_res_units=3, act="relu", adn_ordering="AN"), TILE),
    "unet_bare": ("UNet", dict(UNET, act=None, norm=None, adn_ordering="D", num_res_units=1), TILE),
    "unet_swish": ("UNet", dict(UNET, act="swish", norm=GROUP, adn_ordering="NA"), TILE),
    "unet_prelus": ("UNet", dict(UNET, channels=[6, 6], strides=[2], in_channels=6, out_channels=6, act=["prelu", {"num_parameters": 6}]), TILE),
    "unet_gelu": ("UNet", dict(UNET, act="gelu", norm=["INSTANCE", {"track_running_stats": True}]), TILE),
    "unet_tanh_2d": ("UNet", dict(UNET, spatial_dims=2, act="tanh", num_res_units=2), [48, 56]),
    "dynunet": ("DynUNet", DYNUNET, TILE),
    "dynunet_res": ("DynUNet", dict(DYNUNET, res_block=True, trans_bias=True, norm_name="instance", deep_supervision=True, deep_supr_num=2), TILE),
    "dynunet_batch": ("DynUNet", dict(DYNUNET, res_block=True, norm_name="batch", act_name="prelu", dropout=0.1), TILE),
    "dynunet_strides": ("DynUNet", dict(DYNUNET, kernel_size=[3, 3, 5, 3], strides=[1, 3, [1, 2, 2], 2], upsample_kernel_size=[3, [1, 2, 2], 2],
                                        norm_name=GROUP), [18, 24, 36]),
    "dynunet_filters": ("DynUNet", {k: v for k, v in dict(DYNUNET, spatial_dims=2, kernel_size=[3] * 3, strides=[1, 2, 2],
                                                          upsample_kernel_size=[2, 2]).items() if k != "filters"}, [32, 48]),
    "basic": ("BasicUNet", dict(features=[4, 4, 6, 8, 12, 4]), [32, 32, 48]),
    "basic_odd": ("BasicUNet", dict(features=[4, 4, 6, 8, 12, 6], norm="batch", bias=False), [37, 31, 50]),
    "basic_linear": ("BasicUNet", dict(features=[4, 4, 6, 8, 12, 6], act="relu", norm=GROUP, upsample="nontrainable"), [33, 32, 48]),
    "basic_2d": ("BasicUnet", dict(spatial_dims=2, features=[4, 4, 6, 8, 12, 6]), [37, 50]),
    "swin": ("SwinUNETR", SWIN, DEEP),
    "swin_v2": ("SwinUNETR", dict(SWIN, downsample="mergingv2", normalize=False, norm_name=["instance", {"affine": True}], depths=[2, 1, 3, 2]), DEEP),
}
NEW = {
    "swin_window": ("SwinUNETR", dict(SWIN, window_size=[4, 5, 6], qkv_bias=False, mlp_ratio=2.0, patch_norm=True, use_flash_attention=True), DEEP),
}


def randomize(net):
    """Values of every parameter and statistic that differ from where training starts."""
    for name, tensor in net.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif tensor.dim() > 1 and "table" not in name:
            tensor.copy_(noise * (1.5 / tensor[0].numel()) ** 0.5)
        elif name.endswith("weight"):
            tensor.copy_(0.3 * noise + (1 if ".norm" in name or ".N." in name or "conv_final.0" in name else 0.25))
        else:
            tensor.copy_(0.3 * noise)


def make(folder, name, target, arguments, tile):
    torch.manual_seed(sum(map(ord, name)))
    given = dict(arguments, img_size=tile) if target == "SwinUNETR" and OLD else arguments
    net = getattr(nets, target)(**{key: value for key, value in given.items()}).eval()
    randomize(net)
    image = torch.randn([1, arguments.get("in_channels", 1), *tile])
    with torch.no_grad():
        scores = net(image)
    torch.save(net.state_dict(), folder / f"{name}.pt")
    image.numpy().tofile(folder / f"{name}.image.f32")
    scores.numpy().tofile(folder / f"{name}.scores.f32")
    padded = [1] * (3 - len(tile)) + tile
    return {"name": name, "target": f"monai.networks.nets.{target}", "arguments": given, "monai_version": VERSION, "tile": padded}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "cases.json"
    made = json.loads(listed.read_text()) if listed.exists() else []
    if OLD:
        wanted = {f"{name}_{VERSION}": case for name, case in CASES.items() if name == "swin"}
    else:
        wanted = {**CASES, **NEW}
    if len(sys.argv) > 2:
        wanted = {name: case for name, case in wanted.items() if name in sys.argv[2:]}
    made = [case for case in made if case["name"] not in wanted]
    made += [make(folder, name, *case) for name, case in wanted.items()]
    listed.write_text(json.dumps(made, indent=1))
    print(len(made), "cases in", folder)
