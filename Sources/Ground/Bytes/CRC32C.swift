private import CBytes

/// CRC-32C (Castagnoli), the check of journal batches and contents.
package struct CRC32C {
    /// The check of everything updated so far.
    package private(set) var value: UInt32

    /// - Parameter seed: the value of an earlier check to go on from, or a secret that makes the result unpredictable.
    package init(seed: UInt32 = 0) { value = seed }

    package mutating func update(_ bytes: some Sequence<UInt8>) {
        let done: Void? = bytes.withContiguousStorageIfAvailable { update(UnsafeRawBufferPointer($0)) }
        if done == nil { Array(bytes).withUnsafeBytes { update($0) } }
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = martlet_crc32c(value, bytes.baseAddress, bytes.count)
    }

    package static func of(_ bytes: some Sequence<UInt8>, seed: UInt32 = 0) -> UInt32 {
        var check = CRC32C(seed: seed)
        check.update(bytes)
        return check.value
    }
}
