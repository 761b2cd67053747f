//! Whether there is room in a device's memory.

use crate::error::{Error, Result};

/// Whether `needed` bytes more than those that a plan has `taken` are within its budget, and free. `None`: nobody
/// tells.
///
/// # Errors
/// [`Error::MemoryBudget`] when not.
pub(crate) fn room(needed: u64, taken: u64, budget: Option<u64>, free: Option<u64>) -> Result<()> {
    let all = taken.saturating_add(needed);
    match (budget, free) {
        (Some(budget), _) if all > budget => Err(Error::MemoryBudget { budget, needed: all }),
        (_, Some(free)) if needed > free => Err(Error::MemoryBudget { budget: free, needed }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_has_counts_for_its_budget_and_not_for_what_is_free() {
        let refused = |result| match result {
            Err(Error::MemoryBudget { budget, needed }) => Some((budget, needed)),
            _ => None,
        };
        assert_eq!(refused(room(10, 0, None, None)), None);
        assert_eq!(refused(room(10, 90, Some(100), Some(10))), None);
        assert_eq!(refused(room(11, 90, Some(100), None)), Some((100, 101)));
        assert_eq!(refused(room(11, 0, None, Some(10))), Some((10, 11)));
        assert_eq!(refused(room(u64::MAX, 90, Some(100), None)), Some((100, u64::MAX)));
    }
}
