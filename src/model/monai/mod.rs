//! MONAI's bundles: configs that create a network and the transforms around it, and a checkpoint.

mod arguments;
mod bundle;
mod config;
mod metadata;
mod weights;

#[cfg(test)]
mod tests;
