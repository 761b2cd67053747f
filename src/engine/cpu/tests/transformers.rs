//! Operators of transformers and depthwise convolutions beside their definitions.

use super::check;
use crate::engine::test_networks::transformers;
use crate::network::Network;

fn check_all(cases: Vec<(Network, [usize; 3])>) {
    cases.into_iter().for_each(|(network, size)| check(network, size));
}

#[test]
fn windows_of_every_kind() {
    check_all(transformers::windows_of_every_kind());
}

#[test]
fn attention_of_a_whole_image() {
    check_all(transformers::attention_of_a_whole_image());
}

#[test]
fn patches_merge() {
    check_all(transformers::patches_merge());
}

#[test]
fn depthwise_convolutions() {
    check_all(transformers::depthwise_convolutions());
}

#[test]
fn downsampling() {
    check_all(transformers::downsampling());
}
