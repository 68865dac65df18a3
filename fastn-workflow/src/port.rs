//! Ports: values that a run will have.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::passing::Value;
use crate::short;

/// Marks what belongs to one flow. Invariant, and fresh for every flow: the compiler can neither stretch nor shrink it
/// to fit that of another.
pub(crate) type Brand<'f> = PhantomData<fn(&'f ()) -> &'f ()>;

/// Where a port's value comes from, in the numbering of its scope.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Input,
    Node(usize),
    Constant(usize),
}

/// A port: a `T` that a run of this flow will have.
///
/// It is only a name for the value, so it is `Copy`, and each that takes it gets a value of its own. It is no
/// `#[must_use]`: to do something for its effect alone is ordinary.
pub struct Out<'flow, T> {
    pub(crate) place: Place,
    brand: Brand<'flow>,
    of: PhantomData<fn() -> T>,
}

impl<T> Out<'_, T> {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, brand: PhantomData, of: PhantomData }
    }

    fn wire(self) -> Wire {
        Wire { from: self.place, of: short::type_name::<T>() }
    }
}

impl<T> Clone for Out<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<'_, T> {}

impl<T> fmt::Debug for Out<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Out<{}>({:?})", short::type_name::<T>(), self.place)
    }
}

/// One wire: where a value comes from and what it is.
pub struct Wire {
    pub(crate) from: Place,
    pub(crate) of: Cow<'static, str>,
}

/// What can be wired to a node: `()`, a port, or a tuple of 2 to 8 ports.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be wired to a step",
    label = "this is neither a port nor a tuple of 2 to 8 ports",
    note = "a step takes `()`, one port, or a tuple of 2 to 8; more than 8 values go into a struct first"
)]
pub trait Inputs<'f> {
    /// The values that the ports stand for, as a tuple.
    type Values;

    /// The wires, in order.
    #[doc(hidden)]
    fn wires(self) -> Vec<Wire>;
}

#[diagnostic::do_not_recommend]
impl<'f, T: Value> Inputs<'f> for Out<'f, T> {
    type Values = (T,);

    fn wires(self) -> Vec<Wire> {
        vec![self.wire()]
    }
}

macro_rules! inputs {
    ($($T:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<'f, $($T: Value),*> Inputs<'f> for ($(Out<'f, $T>,)*) {
            type Values = ($($T,)*);

            fn wires(self) -> Vec<Wire> {
                #[allow(non_snake_case, reason = "a port is called like its type")]
                let ($($T,)*) = self;
                vec![$($T.wire()),*]
            }
        }
    };
}

inputs!();
inputs!(A B);
inputs!(A B C);
inputs!(A B C D);
inputs!(A B C D E);
inputs!(A B C D E F);
inputs!(A B C D E F G);
inputs!(A B C D E F G H);
