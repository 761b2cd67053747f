//! Memory that grows with a volume, a label map, a patch or a model: what isn't there is an error that names what it
//! was for, and not the end of the host. Small things of a fixed size are allocated as anywhere.

use ndarray::{
    Array, ArrayBase, ArrayView, Axis, CowArray, Data, Dimension, IntoDimension, Ix3, OwnedRepr, RemoveAxis,
};

use crate::error::{Error, Result};
use crate::platform::{self, Plain};

/// A buffer of at least so many bytes is only taken where as much again is left beside it: for the small allocations
/// that follow, whose failure would end the process.
const LARGE: usize = 1 << 20;

/// An [`Error::OutOfMemory`] for so many values.
pub(crate) fn missing<T>(what: &str, len: usize) -> Error {
    Error::OutOfMemory { what: what.to_owned(), bytes: (len as u64).saturating_mul(size_of::<T>() as u64) }
}

/// Whether something is left beside a buffer of so many bytes.
fn something_is_left(bytes: usize) -> bool {
    #[cfg(test)]
    if !scarce::allowed() {
        return false;
    }
    if platform::is_exhausted() {
        return false;
    }
    bytes < LARGE || Vec::<u8>::new().try_reserve_exact(LARGE).is_ok()
}

/// For work that makes many small things and asks for nothing large.
///
/// # Errors
/// [`Error::OutOfMemory`] where the system refuses even those.
pub(crate) fn check(what: &str) -> Result<()> {
    if platform::is_exhausted() { Err(missing::<u8>(what, 1)) } else { Ok(()) }
}

/// Makes room for `more` values.
pub(crate) fn reserve<T>(values: &mut Vec<T>, what: &str, more: usize) -> Result<()> {
    match values.try_reserve_exact(more) {
        Ok(()) if something_is_left(more.saturating_mul(size_of::<T>())) => Ok(()),
        _ => Err(missing::<T>(what, values.len().saturating_add(more))),
    }
}

/// An empty vector with room for so many values.
pub(crate) fn with_room<T>(what: &str, len: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    reserve(&mut values, what, len)?;
    Ok(values)
}

/// Makes room in a vector that grows again and again.
pub(crate) fn grow<T>(values: &mut Vec<T>, what: &str, more: usize) -> Result<()> {
    let before = values.capacity();
    match values.try_reserve(more) {
        Ok(()) if values.capacity() == before => Ok(()),
        Ok(()) if something_is_left(values.capacity().saturating_mul(size_of::<T>())) => Ok(()),
        _ => Err(missing::<T>(what, values.len().saturating_mul(2))),
    }
}

/// Adds a value to a vector that grows.
pub(crate) fn push<T>(values: &mut Vec<T>, what: &str, value: T) -> Result<()> {
    if values.len() == values.capacity() {
        grow(values, what, 1)?;
    }
    values.push(value);
    Ok(())
}

/// So many times the same value.
pub(crate) fn filled<T: Clone>(what: &str, len: usize, value: T) -> Result<Vec<T>> {
    let mut values = with_room(what, len)?;
    values.resize(len, value);
    Ok(values)
}

/// So many zeros, whose pages aren't touched before they are written.
pub(crate) fn zeroed<T: Plain>(what: &str, len: usize) -> Result<Vec<T>> {
    let values = platform::zeroed(len).filter(|_| something_is_left(len.saturating_mul(size_of::<T>())));
    values.ok_or_else(|| missing::<T>(what, len))
}

/// All values of an iterator.
pub(crate) fn collect<T>(what: &str, values: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    let values = values.into_iter();
    let mut all = with_room(what, values.size_hint().0)?;
    for value in values {
        push(&mut all, what, value)?;
    }
    Ok(all)
}

/// As [`collect`], the first error of the values first.
pub(crate) fn try_collect<T>(what: &str, values: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let values = values.into_iter();
    let mut all = with_room(what, values.size_hint().0)?;
    for value in values {
        push(&mut all, what, value?)?;
    }
    Ok(all)
}

fn shaped<T, D: Dimension>(shape: D, values: Vec<T>) -> Array<T, D> {
    Array::from_shape_vec(shape, values).unwrap_or_else(|_| unreachable!("made for this shape"))
}

/// Elements of an array; more than any memory has where their number is none.
fn elements(shape: &impl Dimension) -> usize {
    shape.slice().iter().try_fold(1_usize, |count, &length| count.checked_mul(length)).unwrap_or(usize::MAX)
}

/// An array of the same value.
pub(crate) fn array<T: Clone, D: Dimension>(
    what: &str,
    shape: impl IntoDimension<Dim = D>,
    value: T,
) -> Result<Array<T, D>> {
    let shape = shape.into_dimension();
    Ok(shaped(shape.clone(), filled(what, elements(&shape), value)?))
}

/// An array of zeros, as [`zeroed`].
pub(crate) fn zeros<T: Plain, D: Dimension>(
    what: &str,
    shape: impl IntoDimension<Dim = D>,
) -> Result<Array<T, D>> {
    let shape = shape.into_dimension();
    Ok(shaped(shape.clone(), zeroed(what, elements(&shape))?))
}

/// An array whose values follow from their positions.
pub(crate) fn from_fn<T>(
    what: &str,
    [planes, rows, columns]: [usize; 3],
    value: impl Fn(usize, usize, usize) -> T,
) -> Result<Array<T, Ix3>> {
    let shape = [planes, rows, columns].into_dimension();
    let mut values = with_room(what, elements(&shape))?;
    for z in 0..planes {
        for y in 0..rows {
            values.extend((0..columns).map(|x| value(z, y, x)));
        }
    }
    Ok(shaped(shape, values))
}

/// Another value for each of an array's, in row-major order.
pub(crate) fn map<A: Copy, B, S: Data<Elem = A>, D: Dimension>(
    what: &str,
    array: &ArrayBase<S, D>,
    change: impl Fn(A) -> B,
) -> Result<Array<B, D>> {
    let mut values = with_room(what, array.len())?;
    match array.as_slice() {
        Some(slice) => values.extend(slice.iter().map(|&value| change(value))),
        None => values.extend(array.iter().map(|&value| change(value))),
    }
    Ok(shaped(array.raw_dim(), values))
}

/// A copy in row-major order.
pub(crate) fn copy<A: Copy, S: Data<Elem = A>, D: Dimension>(
    what: &str,
    array: &ArrayBase<S, D>,
) -> Result<Array<A, D>> {
    map(what, array, |value| value)
}

/// The same values in row-major order: a copy where they aren't yet.
pub(crate) fn row_major<'a, A: Copy, D: Dimension>(
    what: &str,
    array: ArrayView<'a, A, D>,
) -> Result<CowArray<'a, A, D>> {
    if array.is_standard_layout() { Ok(array.into()) } else { Ok(copy(what, &array)?.into()) }
}

/// The positions `indices` of an axis.
pub(crate) fn select<A: Copy, S: Data<Elem = A>>(
    what: &str,
    array: &ArrayBase<S, Ix3>,
    axis: usize,
    indices: &[usize],
) -> Result<Array<A, Ix3>> {
    let mut shape: [usize; 3] = array.dim().into();
    shape[axis] = indices.len();
    from_fn(what, shape, |z, y, x| {
        let mut at = [z, y, x];
        at[axis] = indices[at[axis]];
        array[at]
    })
}

/// Two arrays of one shape but for that axis, one behind the other.
pub(crate) fn concatenate<A: Copy, D: RemoveAxis>(
    what: &str,
    axis: usize,
    [first, second]: [ArrayView<A, D>; 2],
) -> Result<ArrayBase<OwnedRepr<A>, D>> {
    let mut shape = first.raw_dim();
    shape[axis] += second.len_of(Axis(axis));
    // In row-major order each is there in blocks of whole subarrays.
    let mut values = with_room(what, elements(&shape))?;
    let outer = first.shape()[..axis].iter().product::<usize>();
    let (mut one, mut other) = (first.iter(), second.iter());
    for _ in 0..outer {
        values.extend(one.by_ref().take(first.len() / outer).copied());
        values.extend(other.by_ref().take(second.len() / outer).copied());
    }
    Ok(shaped(shape, values))
}

/// For tests: a system that has no memory from some request on.
#[cfg(test)]
pub(crate) mod scarce {
    use std::cell::Cell;

    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// As long as `work` runs, the calling thread's request after so many others fails, and only that one.
    pub(crate) fn with<T>(requests: usize, work: impl FnOnce() -> T) -> T {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                LEFT.set(usize::MAX);
            }
        }
        LEFT.set(requests);
        let _restore = Restore;
        work()
    }

    pub(crate) fn allowed() -> bool {
        let left = LEFT.get();
        LEFT.set(if left == 0 { usize::MAX } else { left.saturating_sub(usize::from(left < usize::MAX)) });
        left > 0
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4, array, concatenate as of_ndarray};

    use super::{array as filled_array, *};

    fn cube() -> Array3<u16> {
        Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (z * 12 + y * 4 + x) as u16)
    }

    #[test]
    fn what_no_memory_holds_is_an_error_with_its_name_and_size() {
        let lacking = |error: Error, bytes: u64| match error {
            Error::OutOfMemory { what, bytes: found } => assert_eq!((&*what, found), ("sums", bytes)),
            other => panic!("{other}"),
        };
        let huge = 1_usize << 46;
        let bytes = 4 << 46;
        lacking(filled("sums", huge, 1.0_f32).unwrap_err(), bytes);
        lacking(zeroed::<f32>("sums", huge).unwrap_err(), bytes);
        lacking(collect("sums", (0..huge).map(|_| 0_f32)).unwrap_err(), bytes);
        lacking(zeros::<f32, _>("sums", [1 << 16, 1 << 15, 1 << 15]).unwrap_err(), bytes);
        lacking(filled_array("sums", [usize::MAX, 2, 1, 0], 0_u8).unwrap_err(), u64::MAX);
        lacking(from_fn("sums", [1 << 16, 1 << 15, 1 << 15], |_, _, _| 0_f32).unwrap_err(), bytes);
    }

    #[test]
    fn they_hold_what_ndarray_gives() {
        let turned = cube().reversed_axes();
        let double = |value: u16| f32::from(value) * 2.0;
        assert_eq!(map("", &turned, double).unwrap(), turned.mapv(double));
        assert_eq!(copy("", &turned.view()).unwrap(), turned);
        assert!(row_major("", turned.view()).unwrap().is_standard_layout());
        assert!(row_major("", cube().view()).unwrap().is_view());
        for axis in 0..3 {
            let indices = [1, 0, 1];
            assert_eq!(select("", &turned, axis, &indices).unwrap(), turned.select(Axis(axis), &indices));
            let both = [turned.view(), turned.view()];
            assert_eq!(concatenate("", axis, both).unwrap(), of_ndarray(Axis(axis), &both).unwrap());
        }
        let none = Array4::<u16>::zeros((2, 0, 3, 4));
        let some = cube().insert_axis(Axis(1));
        let joined = concatenate("", 1, [none.view(), some.view()]).unwrap();
        assert_eq!(joined, some);
        assert_eq!(zeros::<u8, _>("", [2, 2]).unwrap(), array![[0, 0], [0, 0]]);
        assert_eq!(from_fn("", [2, 3, 4], |z, y, x| (z * 12 + y * 4 + x) as u16).unwrap(), cube());
        assert_eq!(collect("", (0..7).filter(|n| n % 2 == 0)).unwrap(), [0, 2, 4, 6]);
        assert!(try_collect("", [Ok(1), Err(Error::Busy), Ok(2)]).is_err());
        assert!(zeroed::<u64>("", 0).unwrap().is_empty());
    }
}
