private import Bytes

/// Builds the bytes of a constant database (spec-qmail §6.4): slots are twice the entries of a table, records in the order given, so that of equal keys the first is found.
package struct ConstantDatabaseWriter {
    private var records = [UInt8](repeating: 0, count: 2048)
    private var tables = [[(hash: UInt32, position: UInt32)]](repeating: [], count: 256)

    package init() {}

    package mutating func add(key: some Collection<UInt8>, value: some Collection<UInt8>) {
        let hash = ConstantDatabase.hash(Array(key))
        tables[Int(hash & 255)].append((hash, UInt32(records.count)))
        records.append(number: UInt32(key.count))
        records.append(number: UInt32(value.count))
        records.append(contentsOf: key)
        records.append(contentsOf: value)
    }

    /// The whole file.
    package consuming func finish() -> [UInt8] {
        var result = records
        for (index, entries) in tables.enumerated() {
            let count = entries.count * 2
            result.overwrite(number: UInt32(result.count), at: index * 8)
            result.overwrite(number: UInt32(count), at: index * 8 + 4)
            var slots = [(hash: UInt32, position: UInt32)](repeating: (0, 0), count: count)
            for entry in entries {
                var slot = Int(entry.hash >> 8) % count
                while slots[slot].position != 0 { slot = (slot + 1) % count }
                slots[slot] = entry
            }
            for slot in slots {
                result.append(number: slot.hash)
                result.append(number: slot.position)
            }
        }
        return result
    }
}
