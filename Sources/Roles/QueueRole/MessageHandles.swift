internal import Boundaries
private import Glibc
internal import Journal
internal import Posix
internal import QueueStore

/// Descriptors of messages that are being delivered: one memory file a message, however many deliveries, and a fresh read-only descriptor for each.
/// Small enough a set: as many as deliveries are under way, plus what a byte budget lets stay for passes that go on.
final class MessageHandles {
    private final class Handle {
        let descriptor: FileDescriptor
        let bytes: Int
        var users = 0

        init(_ descriptor: consuming FileDescriptor, _ bytes: Int) {
            self.descriptor = descriptor
            self.bytes = bytes
        }
    }

    private let files: ContentFiles
    private var handles: [UInt64: Handle] = [:]
    private var waiting: [UInt64: [(PacketPeer.Attachment?) -> Void]] = [:]
    private var checked: Set<UInt64> = []
    private var idleBytes = 0

    /// Held for messages without a delivery under way.
    private static let idleBudget = 64 << 20

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
            finishOpening(id, opened, content.length)
        }
    }

    private func finishOpening(_ id: UInt64, _ opened: ContentFiles.Opened, _ bytes: Int) {
        let completions = waiting.removeValue(forKey: id) ?? []
        switch opened {
        case .descriptor(let raw):
            let handle = Handle(FileDescriptor(owning: raw), bytes)
            handles[id] = handle
            idleBytes += bytes
            checked.insert(id)
            for completion in completions { completion(use(handle)) }
        case .damaged(let why):
            log("queue: alert: message \(id) cannot be delivered: \(why)")
            for completion in completions { completion(nil) }
        }
    }

    private func use(_ handle: Handle) -> PacketPeer.Attachment? {
        do throws(SystemError) {
            let own = try ContentFiles.reopen(handle.descriptor.raw)
            if handle.users == 0 { idleBytes -= handle.bytes }
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
        idleBytes += handle.bytes
        if idleBytes > Self.idleBudget { drop(id) }
    }

    /// Nothing more will be delivered of the message for now.
    func drop(_ id: UInt64) {
        guard let handle = handles[id], handle.users == 0 else { return }
        idleBytes -= handle.bytes
        handles[id] = nil
    }

    /// The message has left the queue.
    func forget(_ id: UInt64) {
        drop(id)
        checked.remove(id)
    }
}
