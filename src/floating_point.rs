//! The floating-point environment of a thread, which belongs to the host: its rounding mode, the exceptions that it
//! traps, its flags. This library computes in one of its own, so that labels don't depend on the host's: rounding to
//! the nearest, no traps, denormal numbers as they are. The host's is back, flags included, whenever the host's own
//! code runs.
//!
//! On x86-64 that is MXCSR: nothing here computes with the x87 registers. On AArch64 it is FPCR with FPSR. Miri knows
//! neither, and computes as we do.

#![allow(unsafe_code, reason = "the registers have no safe interface")]

use std::cell::Cell;

thread_local! {
    /// What the host had when it called, or a thread of the library's when it began; `None` while the host's code runs.
    static HOST: Cell<Option<Environment>> = const { Cell::new(None) };
}

/// As long as it lives, the calling thread computes in the library's environment.
pub(crate) struct Ours {
    /// Whether it was the host's before.
    outermost: bool,
}

impl Ours {
    /// Within another one nothing changes.
    pub(crate) fn enter() -> Self {
        let outermost = HOST.get().is_none();
        if outermost {
            HOST.set(Some(Environment::read()));
            Environment::OURS.write();
        }
        Ours { outermost }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if self.outermost
            && let Some(host) = HOST.take()
        {
            host.write();
        }
    }
}

/// Calls code of the host, in the host's environment, which it may change.
pub(crate) fn as_host<T>(call: impl FnOnce() -> T) -> T {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            HOST.set(Some(Environment::read()));
            Environment::OURS.write();
        }
    }
    let Some(host) = HOST.take() else { return call() };
    host.write();
    let _restore = Restore;
    call()
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Environment {
    mxcsr: u32,
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
impl Environment {
    /// All exceptions masked, no flag set, rounding to the nearest, neither FTZ nor DAZ.
    const OURS: Self = Environment { mxcsr: 0x1f80 };

    fn read() -> Self {
        let mut mxcsr = 0_u32;
        // SAFETY: the register is written to a place of its size.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack)) };
        Environment { mxcsr }
    }

    fn write(self) {
        // SAFETY: the value is either Rust's own environment or one that was read, so that no reserved bit is set; the
        // latter is for code of the host, or for a Rust caller that had it already.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const self.mxcsr, options(nostack)) };
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Environment {
    control: u64,
    status: u64,
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
impl Environment {
    /// No traps, no flag set, rounding to the nearest, denormal numbers and NaN as they are.
    const OURS: Self = Environment { control: 0, status: 0 };

    fn read() -> Self {
        let (control, status): (u64, u64);
        // SAFETY: reads two registers.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) control, out(reg) status, options(nostack));
        }
        Environment { control, status }
    }

    fn write(self) {
        let Environment { control, status } = self;
        // SAFETY: the values are either Rust's own environment or ones that were read; the latter are for code of the
        // host, or for a Rust caller that had them already.
        unsafe {
            std::arch::asm!("msr fpsr, {}", "msr fpcr, {}", in(reg) status, in(reg) control, options(nostack));
        }
    }
}

/// Elsewhere it stays as it is.
#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Environment;

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
impl Environment {
    const OURS: Self = Environment;

    fn read() -> Self {
        Environment
    }

    fn write(self) {}
}

#[cfg(all(test, not(miri), any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use std::hint::black_box;
    use std::panic::catch_unwind;

    use super::*;

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn upward() -> Environment {
        Environment { mxcsr: 0x1f80 | 0x4000 | 0x8040 }
    }

    #[cfg(all(target_arch = "aarch64", not(miri)))]
    fn upward() -> Environment {
        Environment { control: 1 << 22 | 1 << 24, status: 0 }
    }

    /// Whether a third is rounded up.
    #[inline(never)]
    fn rounds_up() -> bool {
        let third: f64 = black_box(1.0) / black_box(3.0);
        third.to_bits() & 1 == 0
    }

    /// Runs a test in the environment of a host that rounds upward and flushes denormal numbers.
    fn in_host(test: impl FnOnce()) {
        let before = Environment::read();
        upward().write();
        test();
        before.write();
    }

    #[test]
    fn the_host_gets_back_what_it_had() {
        in_host(|| {
            assert!(rounds_up());
            let host = Environment::read();
            {
                let _ours = Ours::enter();
                assert!(!rounds_up());
                // Another one within, and flags that computing raises.
                drop(Ours::enter());
                assert!(!rounds_up());
                black_box(black_box(1.0) / black_box(0.0));
                let tiny = black_box(f64::MIN_POSITIVE) / black_box(4.0);
                assert!(tiny > 0.0);
            }
            assert_eq!(Environment::read(), host);
            assert!(rounds_up());
        });
    }

    #[test]
    fn code_of_the_host_runs_in_its_environment() {
        in_host(|| {
            let ours = Ours::enter();
            let nested = as_host(|| {
                assert!(rounds_up());
                // It calls the library.
                let _ours = Ours::enter();
                rounds_up()
            });
            assert!(!nested && !rounds_up());
            assert!(catch_unwind(|| as_host(|| panic!("of the host"))).is_err());
            assert!(!rounds_up());
            // What it changes there is its own.
            as_host(|| Environment::OURS.write());
            drop(ours);
            assert!(!rounds_up());
        });
    }

    #[test]
    fn threads_that_help_compute_as_the_caller_does() {
        in_host(|| {
            let _ours = Ours::enter();
            std::thread::scope(|scope| {
                let thread = crate::threads::spawn(scope, rounds_up).unwrap();
                assert!(!thread.join().unwrap());
                // On a thread of the library's nothing is the host's.
                let thread = crate::threads::spawn(scope, || as_host(rounds_up)).unwrap();
                assert!(!thread.join().unwrap());
            });
        });
    }
}
