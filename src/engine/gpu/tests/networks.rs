//! Small networks of the kinds that there are.

use super::*;

/// A U-Net of three levels.
fn unet(channels: [usize; 3], strides: [[usize; 3]; 2], kernel: [usize; 3]) -> Network {
    let mut builder = Builder::new(1);
    let top = builder.block(0, channels[0], kernel, [1; 3]);
    let top = builder.block(top, channels[0], kernel, [1; 3]);
    let middle = builder.block(top, channels[1], kernel, strides[0]);
    let middle = builder.block(middle, channels[1], kernel, [1; 3]);
    let mut last = builder.block(middle, channels[2], kernel, strides[1]);
    for (skip, stride) in [(middle, strides[1]), (top, strides[0])] {
        let out = builder.network.channels(skip);
        last = builder.transposed(last, out, stride, stride);
        last = builder.add(Op::Concat, &[last, skip]);
        last = builder.block(last, out, kernel, [1; 3]);
    }
    builder.conv(last, 5, [1; 3], [1; 3]);
    builder.network
}

#[test]
fn a_unet() {
    check(unet([17, 30, 40], [[2; 3], [1, 2, 2]], [3; 3]), [10, 16, 20]);
}

#[test]
fn a_unet_of_slices() {
    check(unet([16, 20, 32], [[1, 2, 2]; 2], [1, 3, 3]), [1, 36, 44]);
}

#[test]
fn residual_blocks_with_groups() {
    let mut builder = Builder::new(2);
    let mut last = builder.conv(0, 16, [3; 3], [1; 3]);
    for stride in [[2; 3], [1; 3]] {
        let out = if stride == [2; 3] { 32 } else { 16 };
        let skip = builder.conv(last, out, [1; 3], stride);
        let norm = builder.group(last, 8);
        let active = builder.add(Op::Relu, &[norm]);
        let conv = builder.conv(active, out, [3; 3], stride);
        let norm = builder.group(conv, 8);
        let active = builder.add(Op::Relu, &[norm]);
        let conv = builder.conv(active, out, [3; 3], [1; 3]);
        last = builder.add(Op::Add, &[conv, skip]);
    }
    let up = builder.add(Op::Upsample { factor: [2; 3], align_corners: false }, &[last]);
    builder.conv(up, 3, [1; 3], [1; 3]);
    check(builder.network, [8, 12, 10]);
}

#[test]
fn channels_that_are_constant_but_for_their_borders() {
    // As in tiles of nothing but air: variances are tiny, and normalisation magnifies what the sums have lost.
    if gpu().is_none() {
        return;
    }
    let mut builder = Builder::new(1);
    let mut last = 0;
    for _ in 0..3 {
        last = builder.block(last, 16, [3; 3], [1; 3]);
    }
    builder.conv(last, 2, [1; 3], [1; 3]);
    let (network, tile) = (Arc::new(builder.network), [24, 20, 28]);
    let input = vec![-1.5; tile.iter().product()];
    let expected = expected(&network, tile, &input);
    for (half, bound) in [(false, 1e-4), (true, 2e-2)] {
        let mut found = scores(&network, tile);
        engine(&network, tile, half).unwrap().run(&mut Workspace::default(), &input, &mut found).unwrap();
        let error = error(&found, &expected);
        assert!(error < bound, "half {half}: {error:e}");
    }
}

/// A network whose first layer leaves numbers that no half holds.
fn loud() -> Network {
    let mut builder = Builder::new(1);
    let weight = builder.random.weight(&[16, 1, 3, 3, 3], 1e5, 0.0);
    let conv = Op::Conv { weight, bias: None, kernel: [3; 3], stride: [1; 3], padding: [1; 3] };
    let conv = builder.add(conv, &[0]);
    let norm = builder.instance(conv);
    // Hides what isn't a number.
    let active = builder.add(Op::Relu, &[norm]);
    builder.conv(active, 2, [1; 3], [1; 3]);
    builder.network
}

#[test]
fn what_no_half_holds_runs_in_single() {
    if gpu().is_none() {
        return;
    }
    let (network, tile) = (Arc::new(loud()), [8, 9, 10]);
    let input = image(&network, tile);
    let expected = expected(&network, tile, &input);
    let mut found = scores(&network, tile);
    let engine = engine(&network, tile, true).unwrap();
    let mut workspace = Workspace::default();
    engine.run(&mut workspace, &input, &mut found).unwrap();
    assert!(error(&found, &expected) < SINGLE, "{:e}", error(&found, &expected));
    assert_eq!(workspace.take_tiles_in_single(), 1);
    // Then again with an image that needs none of it.
    let quiet: Vec<f32> = input.iter().map(|value| value * 1e-3).collect();
    engine.run(&mut workspace, &quiet, &mut found).unwrap();
    assert_eq!(workspace.take_tiles_in_single(), 0);

    let arena = Arena::default();
    let settings = Settings { half: true, strict: true, taken: 0, budget: None, arena: &arena, cache: None };
    let strict = GpuEngine::new(0, &network, tile, settings).unwrap();
    let refused = strict.run(&mut Workspace::default(), &input, &mut found).unwrap_err();
    assert!(refused.to_string().contains("overflows half precision"), "{refused}");
}

#[test]
fn networks_that_share_their_memory() {
    if gpu().is_none() {
        return;
    }
    let network = |width| {
        let mut builder = Builder::new(1);
        let first = builder.conv(0, width, [3; 3], [1; 3]);
        builder.conv(first, 2, [1; 3], [1; 3]);
        Arc::new(builder.network)
    };
    let [small, large] = [network(16), network(48)];
    let on = |network, workspace: &Arena| {
        let settings =
            Settings { half: true, strict: false, taken: 0, budget: None, arena: workspace, cache: None };
        GpuEngine::new(0, network, [8; 3], settings).unwrap()
    };
    let alone = |network| on(network, &Arena::default()).info().device_bytes;
    let arena = Arena::default();
    let engines = [&small, &large, &small].map(|network| on(network, &arena));
    let together: u64 = engines.iter().map(|engine| engine.info().device_bytes).sum();
    assert!(together < alone(&large) + 2 * alone(&small));
    let input = image(&small, [8; 3]);
    let mut found = [(); 4].map(|()| scores(&small, [8; 3]));
    for (engine, found) in engines.iter().zip(&mut found) {
        engine.run(&mut Workspace::default(), &input, found).unwrap();
    }
    engines[1].trim().unwrap();
    engines[0].run(&mut Workspace::default(), &input, &mut found[3]).unwrap();
    assert!(found[0] == found[2] && found[0] == found[3] && found[0] != found[1]);
}

#[test]
fn onnx_files_are_refused() {
    let network = Network::onnx(crate::file::Bytes::from(vec![0]), 1, 2);
    assert!(!GpuEngine::supports(&network));
    if gpu().is_some() {
        let refused = engine(&Arc::new(network), [4; 3], true).err().unwrap();
        assert!(refused.to_string().contains("onnx"), "{refused}");
    }
}
