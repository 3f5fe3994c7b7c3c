/// What a group of clients may have of the queue's memory and descriptors while their messages come in. Groups nest: what a member takes counts for
/// its parent too, and either can be exhausted.
package final class IntakeBudget {
    package struct Limits: Sendable {
        /// Bytes in memory. At half of it messages should go to files early; above it, messages are refused.
        package var heldBytes: Int
        package var connections: Int
        /// Content files that are being written.
        package var openFiles: Int

        package init(heldBytes: Int, connections: Int, openFiles: Int) {
            self.heldBytes = heldBytes
            self.connections = connections
            self.openFiles = openFiles
        }
    }

    private let limits: Limits
    private let parent: IntakeBudget?
    package private(set) var held = 0
    /// The part of ``held`` that the disk takes without anything from the clients.
    package private(set) var draining = 0
    package private(set) var connections = 0
    package private(set) var openFiles = 0

    package init(_ limits: Limits, within parent: IntakeBudget? = nil) {
        self.limits = limits
        self.parent = parent
    }

    // MARK: Memory

    package func hold(_ bytes: Int) {
        held += bytes
        parent?.hold(bytes)
    }

    package func release(_ bytes: Int) { hold(-bytes) }

    /// Of what is held, so much is on its way to the disk.
    package func beginDraining(_ bytes: Int) {
        draining += bytes
        parent?.beginDraining(bytes)
    }

    /// It is there, or given up: no longer held.
    package func endDraining(_ bytes: Int) {
        beginDraining(-bytes)
        release(bytes)
    }

    /// Messages should leave the memory as early as they can.
    package var isShort: Bool { held > limits.heldBytes / 2 || parent?.isShort ?? false }
    package var isFull: Bool { held > limits.heldBytes || parent?.isFull ?? false }

    /// The disk is slower than the clients: they wait, which is safe only because what they wait for needs nothing from them.
    package var mustWait: Bool { draining > limits.heldBytes / 2 || parent?.mustWait ?? false }
    /// Those who wait may go on.
    package var mayGoOn: Bool { draining <= limits.heldBytes / 4 && parent?.mayGoOn ?? true }

    // MARK: Descriptors

    private var hasConnection: Bool { connections < limits.connections && parent?.hasConnection ?? true }
    private var hasFile: Bool { openFiles < limits.openFiles && parent?.hasFile ?? true }

    /// - Returns: false when there are as many as may be; then nothing is taken.
    package func takeConnection() -> Bool {
        guard hasConnection else { return false }
        addConnections(1)
        return true
    }

    package func giveBackConnection() { addConnections(-1) }

    /// - Returns: false when there are as many as may be; then nothing is taken.
    package func takeFile() -> Bool {
        guard hasFile else { return false }
        addFiles(1)
        return true
    }

    package func giveBackFile() { addFiles(-1) }

    private func addConnections(_ count: Int) {
        connections += count
        parent?.addConnections(count)
    }

    private func addFiles(_ count: Int) {
        openFiles += count
        parent?.addFiles(count)
    }
}
