// A browser starts no worker from a file. In a site that is read from a folder, the search runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.documentElement.append(this.frame)
      const inside = this.frame.contentWindow
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...urls) => Promise.all(urls.map(each => this.load(each)))
      this.loaded = this.load(url)
    }

    load(url) {
      const script = this.frame.contentDocument.createElement("script")
      script.src = new URL(url, location.href)
      this.frame.contentDocument.body.append(script)
      return new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }))
    }

    postMessage(data) {
      this.loaded.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() { this.frame.remove() }
  }
}
