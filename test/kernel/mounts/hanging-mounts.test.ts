/**
 * Tests which filesystem types may hang.
 */
import test from 'ava';
import {mayHang} from '../../../src/kernel/mounts/hanging-mounts.js';

test('filesystems of the kernel cannot hang, all others may', t => {
	for (const type of ['ext4', 'btrfs', 'xfs', 'tmpfs', 'proc']) t.false(mayHang(type), type);
	for (const type of ['fuse.sshfs', 'fuse', 'fuseblk', 'nfs', 'nfs4', 'cifs', 'smb3', '9p', 'autofs', 'new']) {
		t.true(mayHang(type), type);
	}
});
