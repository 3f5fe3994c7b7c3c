internal import Posix
internal import Storage

/// A file of ``SimulatedDisk``.
final class SimulatedFile: StorageFile {
    private let disk: SimulatedDisk
    // Touched only under the disk's lock.
    private nonisolated(unsafe) let inode: SimulatedDisk.Inode
    private let path: String

    init(_ disk: SimulatedDisk, _ inode: SimulatedDisk.Inode, _ path: String) {
        self.disk = disk
        self.inode = inode
        self.path = path
    }

    func size() throws(SystemError) -> Int {
        try disk.with { (state) throws(SystemError) in
            try state.spendCall()
            return inode.current.count
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        try disk.with { (state) throws(SystemError) in
            let bytes = Array(bytes)
            do throws(SystemError) {
                try state.spendCall()
            } catch {
                // Power went during the write: it may be there in part.
                inode.pending.append((offset, bytes))
                throw error
            }
            let growth = max(0, offset + bytes.count - inode.current.count)
            guard growth == 0 || state.usedBytes + growth <= state.manners.capacity else {
                throw SystemError(call: "write", subject: path, errno: 28)
            }
            if state.random.chance(state.manners.writeFailures, in: 10_000) {
                let part = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &state.random)))
                inode.pending.append((offset, part))
                inode.current.overlay(part, at: offset)
                throw SystemError(call: "write", subject: path, errno: 5)
            }
            inode.pending.append((offset, bytes))
            inode.current.overlay(bytes, at: offset)
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        try disk.with { (state) throws(SystemError) in
            try state.spendCall()
            if state.random.chance(state.manners.readFailures, in: 10_000) { throw SystemError(call: "read", subject: path, errno: 5) }
            guard offset < inode.current.count else { return 0 }
            let found = inode.current[offset..<min(offset + buffer.count, inode.current.count)]
            buffer.copyBytes(from: found)
            return found.count
        }
    }

    func sync() throws(SystemError) {
        try disk.with { (state) throws(SystemError) in
            try state.spendCall()
            if state.random.chance(state.manners.syncFailures, in: 10_000) {
                // Some of it got there; the rest never will, though reads still show it.
                for write in inode.pending { state.persistSomeSectors(of: write, in: inode) }
                inode.pending = []
                throw SystemError(call: "fdatasync", subject: path, errno: 5)
            }
            for write in inode.pending { inode.durable.overlay(write.bytes, at: write.offset) }
            inode.pending = []
        }
    }
}
