//! What others made of a network, such as its weights in another form, found again as long as somebody has it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::Result;

/// Holds nothing alive. Clones of a network begin without.
#[derive(Default)]
pub(super) struct Derived(Mutex<Vec<Weak<dyn Any + Send + Sync>>>);

impl Derived {
    /// What was made before and `fits`, or else what `make` gives; of several threads that want the same, one makes it.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn find_or_make<T: Any + Send + Sync>(
        &self,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        let of_type = all.iter().filter_map(Weak::upgrade).filter_map(|one| one.downcast::<T>().ok());
        if let Some(found) = of_type.into_iter().find(|one| fits(one)) {
            return Ok(found);
        }
        let made = Arc::new(make()?);
        let any: Arc<dyn Any + Send + Sync> = made.clone();
        all.push(Arc::downgrade(&any));
        Ok(made)
    }
}

impl Clone for Derived {
    fn clone(&self) -> Self {
        Derived::default()
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn things_are_made_once_while_somebody_has_them() {
        let derived = Derived::default();
        let get = |number: u32| derived.find_or_make(|one: &u32| *one == number, || Ok(number)).unwrap();
        let first = get(1);
        assert!(Arc::ptr_eq(&first, &get(1)) && !Arc::ptr_eq(&first, &get(2)));
        let text = derived.find_or_make(|_: &String| true, || Ok("1".to_owned())).unwrap();
        assert_eq!(*text, "1");
        assert!(derived.find_or_make(|one: &u32| *one == 3, || Err(Error::Busy)).is_err());
        drop(first);
        let made = derived.find_or_make(|one: &u32| *one == 1, || Ok(1)).unwrap();
        assert_eq!(Arc::strong_count(&made), 1);
    }
}
