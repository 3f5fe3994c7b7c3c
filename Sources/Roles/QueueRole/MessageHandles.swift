internal import Boundaries
private import Glibc
internal import Journal
internal import JournalFormat
internal import Posix
internal import QueueStore

/// Descriptors of messages that are being delivered: one memory file a message, however many deliveries, and a fresh read-only descriptor for each.
/// Small enough a set: as many as deliveries are under way, plus what two budgets, of bytes and of descriptors, let stay for passes that go on.
final class MessageHandles {
    private final class Handle {
        let id: UInt64
        let descriptor: FileDescriptor
        /// Of memory; nothing for a file.
        let bytes: Int
        var users = 0
        /// The message has left the queue: it goes with its last user.
        var isForgotten = false
        /// Neighbours among the idle.
        var older: UInt64?
        var newer: UInt64?

        init(_ id: UInt64, _ descriptor: consuming FileDescriptor, _ bytes: Int) {
            self.id = id
            self.descriptor = descriptor
            self.bytes = bytes
        }
    }

    private let files: ContentFiles
    private var handles: [UInt64: Handle] = [:]
    private var waiting: [UInt64: [(PacketPeer.Attachment?) -> Void]] = [:]
    /// Content files that were read and found whole.
    private var checked: Set<UInt64> = []
    /// Handles without a delivery under way: a list from the one that became idle first to the last.
    private var oldestIdle: UInt64?
    private var newestIdle: UInt64?
    private var idleBytes = 0
    private var idleCount = 0

    private static let idleBudget = 64 << 20
    private static let maxIdle = 512
    private let idleLimit = min(maxIdle, IntakeBudgets.descriptorLimit / 8)

    init(_ files: ContentFiles) { self.files = files }

    /// Answers with a descriptor, nil when the content is damaged (which is logged). ``release(_:)`` it when the delivery has ended.
    func open(_ message: QueuedMessage, _ completion: @escaping (PacketPeer.Attachment?) -> Void) {
        let id = message.id
        if let handle = handles[id] { return completion(use(handle)) }
        if waiting[id] != nil {
            waiting[id]?.append(completion)
            return
        }
        waiting[id] = [completion]
        let content = message.record.content
        files.open(id, content, isChecked: checked.contains(id)) { [self] opened in
            // Cleaning may have moved the content while it was being read.
            if case .damaged = opened, message.record.content != content, let others = waiting.removeValue(forKey: id) {
                for completion in others { open(message, completion) }
                return
            }
            finishOpening(id, opened, content)
        }
    }

    private func finishOpening(_ id: UInt64, _ opened: ContentFiles.Opened, _ content: ContentReference) {
        let completions = waiting.removeValue(forKey: id) ?? []
        switch opened {
        case .descriptor(let raw):
            let isFile = if case .file = content { true } else { false }
            if isFile { checked.insert(id) }
            let handle = Handle(id, FileDescriptor(owning: raw), isFile ? 0 : content.length)
            handles[id] = handle
            becameIdle(handle)
            for completion in completions { completion(use(handle)) }
            trim()
        case .damaged(let why):
            log("queue: alert: message \(id) cannot be delivered: \(why)")
            for completion in completions { completion(nil) }
        }
    }

    private func use(_ handle: Handle) -> PacketPeer.Attachment? {
        do throws(SystemError) {
            let own = try ContentFiles.reopen(handle.descriptor.raw)
            if handle.users == 0 { noLongerIdle(handle) }
            handle.users += 1
            return PacketPeer.Attachment(own)
        } catch {
            log("queue: warning: \(error)")
            return nil
        }
    }

    /// A delivery that ``open(_:_:)`` gave a descriptor for has ended.
    func release(_ id: UInt64) {
        guard let handle = handles[id], handle.users > 0 else { return }
        handle.users -= 1
        guard handle.users == 0 else { return }
        becameIdle(handle)
        if handle.isForgotten { drop(id) }
        trim()
    }

    /// Nothing more will be delivered of the message for now.
    func drop(_ id: UInt64) {
        guard let handle = handles[id], handle.users == 0 else { return }
        noLongerIdle(handle)
        handles[id] = nil
    }

    /// The message has left the queue.
    func forget(_ id: UInt64) {
        handles[id]?.isForgotten = true
        drop(id)
        checked.remove(id)
    }

    // MARK: The idle

    private func becameIdle(_ handle: Handle) {
        (handle.older, handle.newer) = (newestIdle, nil)
        if let newest = newestIdle { handles[newest]?.newer = handle.id } else { oldestIdle = handle.id }
        newestIdle = handle.id
        idleBytes += handle.bytes
        idleCount += 1
    }

    private func noLongerIdle(_ handle: Handle) {
        if let older = handle.older { handles[older]?.newer = handle.newer } else { oldestIdle = handle.newer }
        if let newer = handle.newer { handles[newer]?.older = handle.older } else { newestIdle = handle.older }
        idleBytes -= handle.bytes
        idleCount -= 1
    }

    private func trim() {
        while idleBytes > Self.idleBudget || idleCount > idleLimit, let oldest = oldestIdle { drop(oldest) }
    }
}
