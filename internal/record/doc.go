// Package record is Kafka's record batch, format v2: the bytes that producers
// send, that lie in the log and that consumers receive.
//
// A Batch is a slice of those bytes with its header read in place; nothing is
// copied to look at it and the broker's path never unpacks its records. Builder
// makes batches, ForEach unpacks them, the control records (transaction markers,
// leader changes, snapshot headers and voters) are here as well.
//
//	 0 baseOffset            int64
//	 8 batchLength           int32   bytes after this field
//	12 partitionLeaderEpoch  int32
//	16 magic                 int8    2
//	17 crc                   uint32  CRC-32C of all bytes from attributes on
//	21 attributes            int16   0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
//	23 lastOffsetDelta       int32
//	27 baseTimestamp         int64   (the delete horizon, when bit 6 is set)
//	35 maxTimestamp          int64
//	43 producerId            int64
//	51 producerEpoch         int16
//	53 baseSequence          int32
//	57 count                 int32
//	61 records, compressed as one block when there is a codec
//
// The checksum begins after offset and epoch, so a leader may assign both
// without computing it anew.
//
// Storage, replica, quorum, the coordinators and the tools call it. It owns no
// state besides pools of compressors. If it is wrong, data is refused, misread,
// or, worst, passed on broken.
package record
