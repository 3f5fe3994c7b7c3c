private import Glibc

/// A value that several plain threads share and wait on: a mutex and a condition around it.
package final class Monitor<State>: @unchecked Sendable {
    // Sound to share: `state` is touched only while `mutex` is held, and the two primitives stay at one address until the last reference is gone.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    package init(_ state: sending State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` alone. It must not block, nor call this monitor.
    package func with<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Runs `body` alone, again after each wake-up, until it returns something.
    package func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            pthread_cond_wait(condition, mutex)
        }
    }

    /// After a change that one waiter can take.
    package func wakeOne() { pthread_cond_signal(condition) }

    /// After a change that concerns all.
    package func wakeAll() { pthread_cond_broadcast(condition) }
}
