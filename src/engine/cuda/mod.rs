//! NVIDIA GPUs without a toolkit: the driver that the system has, opened when it is asked for.

#![allow(unsafe_code, reason = "the driver is a C library")]

mod driver;

pub(super) use driver::Driver;
