//! Identities: SHA-256 over a canonical text of all that labels follow from (docs/identity.md). A change of the format,
//! of its names too, gets another version.

use std::fmt::Display;

use sha2::{Digest, Sha256};

use super::task::{Link, TaskOptions};
use super::{Model, form, hexadecimal};
use crate::labels::Label;
use crate::network::Network;
use crate::recipe::Recipe;

/// The name of the format and its version.
const FORMAT: &str = "voxseg1";

/// The lines of a text, as they are hashed.
struct Lines(Sha256);

impl Lines {
    fn of(what: &str) -> Self {
        let mut lines = Lines(Sha256::new());
        lines.add(FORMAT, what);
        lines
    }

    fn add(&mut self, word: &str, rest: impl Display) {
        self.0.update(format!("{word} {rest}\n"));
    }

    fn identity(self) -> String {
        format!("{FORMAT}:sha256:{}", hexadecimal(self.0))
    }
}

/// Of a model by itself, or after the previous stage of its cascade.
pub(super) fn of_model(networks: &[Network], recipe: &Recipe, previous: Option<&Model>) -> String {
    let mut lines = Lines::of("model");
    if let Some(previous) = previous {
        lines.add("previous", previous.identity());
    }
    lines.add("recipe", form::recipe(recipe));
    for (fold, network) in networks.iter().enumerate() {
        lines.add("network", fold);
        network.nodes().iter().for_each(|node| lines.add("node", form::node(node)));
    }
    lines.identity()
}

/// Of models whose scores are averaged, in their order.
pub(super) fn of_ensemble(members: &[Model]) -> String {
    let mut lines = Lines::of("ensemble");
    members.iter().for_each(|member| lines.add("member", member.identity()));
    lines.identity()
}

/// Of a task whose models were opened.
pub(super) fn of_task(links: &[Link], options: &TaskOptions, labels: &[Label]) -> String {
    let mut lines = Lines::of("task");
    lines.add("options", form::options(options, labels));
    for link in links {
        lines.add("link", form::link(link));
        link.parts.iter().for_each(|part| lines.add("model", form::part(part)));
    }
    lines.identity()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the format's text is for a network of one convolution.
    #[test]
    fn the_text_is_that_of_the_format() {
        let model = Model::for_tests(Recipe::for_tests([4, 5, 6]), 2);
        let zeros = hexadecimal(Sha256::new_with_prefix([0; 8]));
        let text = format!(
            "voxseg1 model\n\
             recipe {{\"cleanup\":[],\"decision\":{{\"rule\":\"argmax\"}},\"postprocessing\":[],\"reader\":\"itk\",\
             \"restore\":\"scores\",\"steps\":[],\"tiling\":{{\"importance\":{{\"rule\":\"gaussian\"}},\"mirror_axes\":[],\
             \"padding\":{{\"rule\":\"constant\",\"value\":\"00000000\"}},\"patch\":[4,5,6],\
             \"placement\":{{\"rule\":\"even\",\"step\":\"3fe0000000000000\"}},\"score_precision\":\"float16\",\
             \"slices\":false}}}}\n\
             network 0\n\
             node {{\"channels\":1,\"inputs\":[],\"operator\":{{\"op\":\"input\"}}}}\n\
             node {{\"channels\":2,\"inputs\":[0],\"operator\":{{\"bias\":null,\"kernel\":[1,1,1],\"op\":\"conv\",\
             \"padding\":[0,0,0],\"stride\":[1,1,1],\
             \"weight\":{{\"sha256\":\"{zeros}\",\"shape\":[2,1,1,1,1]}}}}}}\n"
        );
        let digest = hexadecimal(Sha256::new_with_prefix(&text));
        assert_eq!(model.identity(), format!("voxseg1:sha256:{digest}"));
    }

    #[test]
    fn ensembles_are_their_members_in_order() {
        let model = |patch| Model::for_tests(Recipe::for_tests(patch), 2);
        let (a, b) = (model([4, 5, 6]), model([4, 5, 7]));
        let text = format!("voxseg1 ensemble\nmember {}\nmember {}\n", a.identity(), b.identity());
        let digest = hexadecimal(Sha256::new_with_prefix(&text));
        assert_eq!(of_ensemble(&[a.clone(), b.clone()]), format!("voxseg1:sha256:{digest}"));
        assert_ne!(of_ensemble(&[b.clone(), a.clone()]), of_ensemble(&[a, b]));
    }
}
