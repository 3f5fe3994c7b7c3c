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
    private var lastSerial: UInt64 = 0

    var count: Int { heap.count }
    var next: UInt64? { heap.first?.due }

    mutating func add(_ id: UInt64, due: UInt64, isSpared: Bool) {
        lastSerial += 1
        heap.append(Entry(due: due, serial: lastSerial, id: id, isSpared: isSpared))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Takes the first if its time has come.
    mutating func popDue(_ now: UInt64) -> (id: UInt64, isSpared: Bool)? {
        guard let first = heap.first, first.due <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[least]) { least = child }
            guard least != parent else { return (first.id, first.isSpared) }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    /// All are due at `now`, in the order they had.
    mutating func makeAllDue(_ now: UInt64) {
        heap.sort { $0.isBefore($1) }
        // New serials in that order: a sorted array is a heap.
        heap = heap.enumerated().map { index, entry in
            Entry(due: min(entry.due, now), serial: UInt64(index), id: entry.id, isSpared: entry.isSpared)
        }
        lastSerial = UInt64(heap.count)
    }

    mutating func spareAll() { heap = heap.map { Entry(due: $0.due, serial: $0.serial, id: $0.id, isSpared: true) } }
}
