/// Callbacks ordered by time: a binary heap; a cancelled one is skipped when its time comes.
package struct TimerQueue {
    package struct Token: Hashable, Sendable { fileprivate let number: UInt64 }

    private struct Entry {
        let due: UInt64
        let number: UInt64
    }

    private var heap: [Entry] = []
    private var bodies: [UInt64: () -> Void] = [:]
    private var lastNumber: UInt64 = 0

    package init() {}

    /// - Parameter due: on the monotonic clock, nanoseconds.
    package mutating func add(at due: UInt64, _ body: @escaping () -> Void) -> Token {
        lastNumber += 1
        bodies[lastNumber] = body
        heap.append(Entry(due: due, number: lastNumber))
        siftUp(heap.count - 1)
        return Token(number: lastNumber)
    }

    package mutating func cancel(_ token: Token) {
        bodies[token.number] = nil
        // Cancelled entries must not pile up, whatever their times: sweep when they are the majority.
        if heap.count > 64, heap.count > 2 * bodies.count {
            heap.removeAll { bodies[$0.number] == nil }
            heap.sort { ($0.due, $0.number) < ($1.due, $1.number) }
        }
    }

    /// When the next callback is due, nil if none is waiting.
    package var next: UInt64? { heap.first?.due }

    /// Takes the earliest callback that is due. The caller runs it, not this queue: a callback may add and cancel others.
    package mutating func popDue(now: UInt64) -> (() -> Void)? {
        while let first = heap.first, first.due <= now {
            removeFirst()
            if let body = bodies.removeValue(forKey: first.number) { return body }
        }
        return nil
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool { (heap[a].due, heap[a].number) < (heap[b].due, heap[b].number) }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBefore(child, parent) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) { least = child }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
