// Promises of a place where nothing is waited for.
//
// The contract's functions are synchronous: a request returns when it is answered, and a call that has returned is over. So no
// promise here waits for a later turn: `then` on a settled one runs at once, and the build turns `async` functions into
// generators that `asynchronous` drives to their end. The order of side effects is that of the code read from top to bottom.

const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;

export class SettledPromise {
  constructor(executor) {
    this._state = PENDING;
    this._value = undefined;
    this._waiting = [];
    let decided = false;
    const once = (decide) => (value) => {
      if (decided) return;
      decided = true;
      decide(value);
    };
    const reject = once((reason) => this._settle(REJECTED, reason));
    const resolve = once((value) => this._adopt(value));
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  _settle(state, value) {
    this._state = state;
    this._value = value;
    const waiting = this._waiting;
    this._waiting = [];
    for (const run of waiting) run();
  }

  _adopt(value) {
    if (value === this) {
      this._settle(REJECTED, new TypeError("a promise cannot wait for itself"));
      return;
    }
    if (value === null || (typeof value !== "object" && typeof value !== "function")) {
      this._settle(FULFILLED, value);
      return;
    }
    let then;
    try {
      then = value.then;
    } catch (error) {
      this._settle(REJECTED, error);
      return;
    }
    if (typeof then !== "function") {
      this._settle(FULFILLED, value);
      return;
    }
    let decided = false;
    try {
      then.call(
        value,
        (inner) => {
          if (decided) return;
          decided = true;
          this._adopt(inner);
        },
        (reason) => {
          if (decided) return;
          decided = true;
          this._settle(REJECTED, reason);
        },
      );
    } catch (error) {
      if (!decided) {
        decided = true;
        this._settle(REJECTED, error);
      }
    }
  }

  then(onFulfilled, onRejected) {
    return new SettledPromise((resolve, reject) => {
      const run = () => {
        const fulfilled = this._state === FULFILLED;
        const callback = fulfilled ? onFulfilled : onRejected;
        if (typeof callback !== "function") {
          (fulfilled ? resolve : reject)(this._value);
          return;
        }
        try {
          resolve(callback(this._value));
        } catch (error) {
          reject(error);
        }
      };
      if (this._state === PENDING) this._waiting.push(run);
      else run();
    });
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(callback) {
    if (typeof callback !== "function") return this.then(callback, callback);
    return this.then(
      (value) => SettledPromise.resolve(callback()).then(() => value),
      (reason) => SettledPromise.resolve(callback()).then(() => SettledPromise.reject(reason)),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static resolve(value) {
    return value instanceof SettledPromise ? value : new SettledPromise((resolve) => resolve(value));
  }

  static reject(reason) {
    return new SettledPromise((_, reject) => reject(reason));
  }

  static try(callback, ...args) {
    return new SettledPromise((resolve) => resolve(callback(...args)));
  }

  static withResolvers() {
    const parts = {};
    parts.promise = new SettledPromise((resolve, reject) => {
      parts.resolve = resolve;
      parts.reject = reject;
    });
    return parts;
  }

  static all(promises) {
    return SettledPromise._together(promises, (values, reject) => ({
      fulfilled: (at, value) => (values[at] = value),
      rejected: (_, reason) => reject(reason),
    }));
  }

  static allSettled(promises) {
    return SettledPromise._together(promises, (values) => ({
      fulfilled: (at, value) => (values[at] = { status: "fulfilled", value }),
      rejected: (at, reason) => (values[at] = { status: "rejected", reason }),
    }));
  }

  static any(promises) {
    return new SettledPromise((resolve, reject) => {
      // The first value ends it, as a rejection ends `all`.
      const turned = [...promises].map((promise) =>
        SettledPromise.resolve(promise).then(
          (value) => SettledPromise.reject({ value }),
          (reason) => reason,
        ),
      );
      SettledPromise.all(turned).then(
        (reasons) => reject(new AggregateError(reasons, "every promise was rejected")),
        (found) => resolve(found.value),
      );
    });
  }

  static race(promises) {
    return new SettledPromise((resolve, reject) => {
      for (const promise of promises) SettledPromise.resolve(promise).then(resolve, reject);
    });
  }

  static _together(promises, plan) {
    return new SettledPromise((resolve, reject) => {
      const values = [];
      const on = plan(values, reject);
      let open = 1;
      const close = () => {
        open -= 1;
        if (open === 0) resolve(values);
      };
      let at = 0;
      for (const promise of promises) {
        const here = at;
        at += 1;
        open += 1;
        SettledPromise.resolve(promise).then(
          (value) => {
            on.fulfilled(here, value);
            close();
          },
          (reason) => {
            on.rejected(here, reason);
            close();
          },
        );
      }
      close();
    });
  }
}

/** What an `async` function becomes: `body` is the same function as a generator that yields what is awaited. */
export default function asynchronous(body) {
  return function (...args) {
    return new SettledPromise((resolve, reject) => {
      drive(body.apply(this, args), resolve, reject, "next", undefined);
    });
  };
}

/** A loop and no recursion: a thousand awaits in a row must not need a thousand frames. */
function drive(steps, resolve, reject, how, value) {
  for (;;) {
    let step;
    try {
      step = steps[how](value);
    } catch (error) {
      reject(error);
      return;
    }
    if (step.done) {
      resolve(step.value);
      return;
    }
    const awaited = SettledPromise.resolve(step.value);
    if (awaited._state === PENDING) {
      awaited.then(
        (next) => drive(steps, resolve, reject, "next", next),
        (error) => drive(steps, resolve, reject, "throw", error),
      );
      return;
    }
    how = awaited._state === FULFILLED ? "next" : "throw";
    value = awaited._value;
  }
}

/** The value of a promise that is settled; what is no promise is its own value. */
export function settled(value) {
  if (value === null || typeof value !== "object" || typeof value.then !== "function") return value;
  const promise = SettledPromise.resolve(value);
  if (promise._state === PENDING) {
    throw new Error("the connector waits for a promise that nothing settles: there are no timers and no later turns here");
  }
  if (promise._state === REJECTED) throw promise._value;
  return promise._value;
}
