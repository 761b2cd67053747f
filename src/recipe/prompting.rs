//! How a model's network sees the prompts of a user.

/// What a user can give a model to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PromptKind {
    /// A voxel of the object, or of what isn't the object.
    Point,
    /// A box that is one voxel thick along an axis.
    Box2d,
    /// Any box.
    Box3d,
    /// A stroke within the object.
    Scribble,
    /// A closed line around the object in a slice, filled.
    Lasso,
    /// The object as it is known so far.
    Mask,
    /// A voxel of one of the model's labels, the background included.
    PointPerLabel,
}

impl PromptKind {
    /// Its name in descriptions and records.
    pub fn name(self) -> &'static str {
        match self {
            PromptKind::Point => "point",
            PromptKind::Box2d => "box_2d",
            PromptKind::Box3d => "box_3d",
            PromptKind::Scribble => "scribble",
            PromptKind::Lasso => "lasso",
            PromptKind::Mask => "mask",
            PromptKind::PointPerLabel => "point_per_label",
        }
    }
}

/// How a model's network sees prompts.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompting {
    /// It looks at a patch around the last of them, and needs some.
    Painting(Painting),
    /// DeepEdit's clicks: each of these labels has a channel of the image ([`super::Step::AddClicks`]). Without clicks
    /// the model segments volumes by itself.
    Clicks(Vec<u16>),
}

impl Prompting {
    /// The kinds that the model takes, in the order of [`PromptKind`].
    pub fn kinds(&self) -> Vec<PromptKind> {
        match self {
            Prompting::Painting(painting) => painting.kinds(),
            Prompting::Clicks(_) => vec![PromptKind::PointPerLabel],
        }
    }
}

/// nnInteractive's prompts: further channels of the network's image, behind those of the volume. The network decides
/// between the object and the rest in one patch around the last prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Painting {
    /// Voxels around a point that are painted with it.
    pub point_radius: usize,
    /// By how much a prompt counts less with each that comes after.
    pub decay: f64,
    /// Channels that prompts have.
    pub channels: usize,
    /// The one of the mask so far.
    pub previous: usize,
    /// The kinds that are painted, each with its channels for the object and for the rest.
    pub painted: Vec<(PromptKind, [usize; 2])>,
    /// Whether a session can begin with a mask.
    pub initial: bool,
}

impl Painting {
    /// The kinds that the model takes, in the order of [`PromptKind`].
    pub fn kinds(&self) -> Vec<PromptKind> {
        let mut kinds: Vec<PromptKind> = self.painted.iter().map(|(kind, _)| *kind).collect();
        kinds.extend(self.initial.then_some(PromptKind::Mask));
        kinds.sort_unstable();
        kinds
    }

    /// The channels of a kind for the object and for the rest, where the model takes it.
    pub fn channels_of(&self, kind: PromptKind) -> Option<[usize; 2]> {
        self.painted.iter().find(|(painted, _)| *painted == kind).map(|(_, channels)| *channels)
    }
}
