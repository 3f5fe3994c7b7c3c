private import CPosix
private import Glibc

/// A plain thread for work that blocks (fdatasync, getpwnam, libunbound). It runs until `body` returns.
package struct Thread: ~Copyable, Sendable {
    private let handle: pthread_t

    package init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(name, body))
        var handle = pthread_t()
        let failure = pthread_create(
            &handle, nil,
            { raw in
                guard let raw else { return nil }
                let box = Unmanaged<Body>.fromOpaque(raw).takeRetainedValue()
                martlet_name_process(box.name)
                box.run()
                return nil
            }, box.toOpaque())
        precondition(failure == 0, "no thread could be made at start: \(errorText(failure))")
        self.handle = handle
    }

    package consuming func join() { pthread_join(handle, nil) }
}

private final class Body: Sendable {
    let name: String
    let run: @Sendable () -> Void
    init(_ name: String, _ run: @escaping @Sendable () -> Void) {
        self.name = String(name.prefix(15))
        self.run = run
    }
}
