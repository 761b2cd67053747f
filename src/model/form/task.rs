//! The form of a task: all that its labels follow from beside those of its models.

use super::{Form, fields};
use crate::labels::Label;
use crate::model::task::{Link, LinkCrop, Part, Rule, Task, TaskOptions, TaskResampling};

/// How a task runs. What only decides which links and labels there are is told by those.
pub(in crate::model) fn options(options: &TaskOptions, labels: &[Label]) -> Form {
    let TaskOptions {
        subset: _in_links,
        robust_crop: _in_links_too,
        remove_small,
        resampling: way,
        split,
        crop_to_body: _in_the_first_link,
        on_network_grid,
        smooth,
        legacy_v1_labels: _in_labels,
    } = options;
    fields([
        ("remove_small", (*remove_small).into()),
        ("resampling", resampling(*way)),
        ("split", (*split).into()),
        ("on_network_grid", (*on_network_grid).into()),
        ("smooth", (*smooth).into()),
        ("labels", table(labels)),
    ])
}

/// Labels are matched by their names: those of a link to those of the whole.
fn table(labels: &[Label]) -> Form {
    let label = |label: &Label| {
        let Label { value, name, color: _shown_only, terms: _told_only } = label;
        fields([("value", (*value).into()), ("name", name.into())])
    };
    Form::List(labels.iter().map(label).collect())
}

pub(in crate::model) fn resampling(resampling: TaskResampling) -> Form {
    match resampling {
        TaskResampling::Linear => "linear",
        TaskResampling::Cubic => "cubic",
        TaskResampling::Network => "network",
    }
    .into()
}

/// One link of a task without its models.
pub(in crate::model) fn link(link: &Link) -> Form {
    let Link { task, crop, beside, parts: _told_one_by_one } = link;
    let Task {
        name: _told_only,
        modality: _told_only_too,
        licence: _no_matter,
        labels,
        legacy_v1_labels: _in_options,
        spacing,
        step,
        models,
        source: _an_earlier_link,
        crop: _in_the_link,
        rough: _earlier_links,
        rules,
    } = &**task;
    let part = |LinkCrop { link, labels, margin }: &LinkCrop| {
        fields([("link", (*link).into()), ("labels", labels.into()), ("margin", (*margin).into())])
    };
    fields([
        ("labels", table(labels)),
        ("spacing", (*spacing).into()),
        ("step", (*step).into()),
        // Large volumes are cut for tasks of several models.
        ("models", models.len().into()),
        ("crop", crop.as_ref().map(part).into()),
        ("beside", (*beside).into()),
        ("rules", Form::List(rules.iter().map(rule).collect())),
    ])
}

/// One of a link's models.
pub(in crate::model) fn part(part: &Part) -> Form {
    let Part { path: _any, options: _in_the_identity, values, identity } = part;
    fields([("identity", identity.into()), ("values", values.into())])
}

/// What is done to the labels.
pub(in crate::model) fn rule(rule: &Rule) -> Form {
    match rule {
        Rule::KeepLargest(labels) => fields([("rule", "keep_largest".into()), ("labels", labels.into())]),
        Rule::RemoveSmall { labels, volume } => {
            fields([("rule", "remove_small".into()), ("labels", labels.into()), ("volume", (*volume).into())])
        }
        Rule::SeparateVertebrae { smallest } => {
            fields([("rule", "separate_vertebrae".into()), ("smallest", (*smallest).into())])
        }
        Rule::Dilate(distance) => fields([("rule", "dilate".into()), ("distance", (*distance).into())]),
        Rule::RemoveOutside { labels, distance } => fields([
            ("rule", "remove_outside".into()),
            ("labels", labels.into()),
            ("distance", (*distance).into()),
        ]),
        Rule::ClipTo { task, labels, distance } => fields([
            ("rule", "clip_to".into()),
            ("task", task.name().into()),
            ("labels", labels.into()),
            ("distance", (*distance).into()),
        ]),
        Rule::Skin(labels) => fields([("rule", "skin".into()), ("labels", labels.into())]),
    }
}
