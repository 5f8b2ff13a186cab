# The formula for a tap of Homebrew. `packaging/release.py` fills in version, addresses and hashes.
class Holdfast < Formula
  include Language::Python::Virtualenv

  desc "Keeps an LLM agent's session on the provider, endpoint, key and model of its user"
  homepage "@HOMEPAGE@"
  url "@WHEEL_URL@", using: :nounzip
  version "@VERSION@"
  sha256 "@WHEEL_SHA256@"
  license "Apache-2.0"

  depends_on "python@3.13"

  resource "requirements" do
    url "@LOCK_URL@"
    sha256 "@LOCK_SHA256@"
  end

  def install
    resource("requirements").stage buildpath
    virtualenv_create(libexec, "python3.13", system_site_packages: false, without_pip: false)
    pip = [libexec/"bin/python", "-m", "pip", "install"]
    system(*pip, "--require-hashes", "--requirement", "@LOCK@")
    system(*pip, "--no-deps", "@WHEEL@")
    bin.install_symlink libexec/"bin/holdfast"
  end

  service do
    run [opt_bin/"holdfast", "serve"]
    keep_alive crashed: true
    log_path var/"log/holdfast.log"
    error_log_path var/"log/holdfast.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/holdfast --version")
    ENV["HOLDFAST_HOME"] = testpath
    system bin/"holdfast", "init"
    assert_path_exists testpath/"holdfast.toml"
  end
end
