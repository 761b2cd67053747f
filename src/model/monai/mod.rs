//! MONAI's bundles: configs that create a network and the transforms around it, and a checkpoint.

mod config;
