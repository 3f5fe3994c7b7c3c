/// Message ids in the order they are due; of equal times the first added goes first. A binary heap.
struct DueQueue {
    private struct Entry {
        let due: UInt64
        let serial: UInt64
        let id: UInt64
        /// The next pass is not the last one, whatever the clock says.
        let isSpared: Bool

        func isBefore(_ other: Entry) -> Bool { (due, serial) < (other.due, other.serial) }
    }

    private var heap: [Entry] = []
    /// Of ids that were moved up: which entry counts, and how many others are left, to be passed over.
    private var moved: [UInt64: (serial: UInt64, due: UInt64, left: Int)] = [:]
    private var lastSerial: UInt64 = 0

    var count: Int { heap.count - moved.values.reduce(0) { $0 + $1.left } }
    var next: UInt64? { heap.first?.due }

    mutating func add(_ id: UInt64, due: UInt64, isSpared: Bool) {
        lastSerial += 1
        if let known = moved[id] { moved[id] = (lastSerial, due, known.left) }
        heap.append(Entry(due: due, serial: lastSerial, id: id, isSpared: isSpared))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// An id that waits is due at `now`, behind what is due already, and that pass is not the last one. Its old entry stays where it is until its
    /// time and is passed over then.
    mutating func moveUp(_ id: UInt64, to now: UInt64) {
        if let known = moved[id], known.due <= now { return }
        let left = (moved[id]?.left ?? 0) + 1
        add(id, due: now, isSpared: true)
        moved[id] = (lastSerial, now, left)
    }

    /// An id that waits does not any more. Its entry stays likewise.
    mutating func withdraw(_ id: UInt64) {
        // No entry has that serial.
        moved[id] = (.max, .max, (moved[id]?.left ?? 0) + 1)
    }

    /// Whether the entry counts.
    private mutating func passesOver(_ entry: Entry) -> Bool {
        guard let known = moved[entry.id], known.serial != entry.serial else { return false }
        if known.left > 1 { moved[entry.id]?.left -= 1 } else { moved[entry.id] = nil }
        return true
    }

    /// Takes the first if its time has come.
    mutating func popDue(_ now: UInt64) -> (id: UInt64, due: UInt64, isSpared: Bool)? {
        while let first = heap.first, first.due <= now {
            removeFirst()
            if !passesOver(first) {
                // Until it is added again, none of its entries counts.
                if moved[first.id] != nil { moved[first.id]?.due = .max }
                return (first.id, first.due, first.isSpared)
            }
        }
        return nil
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[least]) { least = child }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    /// All are due at `now`, in the order they had.
    mutating func makeAllDue(_ now: UInt64) {
        let moved = moved
        heap.removeAll { entry in moved[entry.id].map { $0.serial != entry.serial } ?? false }
        self.moved = [:]
        heap.sort { $0.isBefore($1) }
        // New serials in that order: a sorted array is a heap.
        heap = heap.enumerated().map { index, entry in
            Entry(due: min(entry.due, now), serial: UInt64(index), id: entry.id, isSpared: entry.isSpared)
        }
        lastSerial = UInt64(heap.count)
    }

    mutating func spareAll() { heap = heap.map { Entry(due: $0.due, serial: $0.serial, id: $0.id, isSpared: true) } }
}
