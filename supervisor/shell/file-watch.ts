/** Watches files by their folders, since editors replace files. */
import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { expandHome } from './secrets.ts'

/** Editors write a file in several steps; a change is looked at after this pause. */
const SETTLE_MS = 300

/** Opens watching; `changed` hears the name under which a file was added. */
export function openWatches(changed: (service: string) => void) {
  const folders = new Map<string, { watcher: FSWatcher; files: Map<string, Set<string>> }>()
  const pending = new Map<string, NodeJS.Timeout>()
  const later = (service: string) => {
    clearTimeout(pending.get(service))
    const fire = () => {
      pending.delete(service)
      changed(service)
    }
    pending.set(service, setTimeout(fire, SETTLE_MS).unref())
  }
  const openFolder = (folder: string) => {
    const files = new Map<string, Set<string>>()
    const watcher = watch(folder, { persistent: false }, (_, file) => {
      for (const service of files.get(file ?? '') ?? []) later(service)
    })
    watcher.on('error', () => {
      watcher.close()
      folders.delete(folder)
    })
    folders.set(folder, { watcher, files })
    return files
  }
  return {
    add(service: string, paths: readonly string[]): void {
      for (const path of paths.map(expandHome)) {
        const folder = dirname(path)
        try {
          const files = folders.get(folder)?.files ?? openFolder(folder)
          files.set(basename(path), (files.get(basename(path)) ?? new Set()).add(service))
        } catch (error) {
          // A folder that does not exist yet cannot be watched; the period of the probe is the fallback.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        }
      }
    },
    close(): void {
      for (const { watcher } of folders.values()) watcher.close()
      for (const timer of pending.values()) clearTimeout(timer)
    },
  }
}
